fn f() {
    let mut peer: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
}
