fn f() {
    let mut peer: libc::sockaddr_in = unsafe { std::mem::zeroed() };
}
