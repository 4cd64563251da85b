fn f() -> Result<(), Error> {
    let rc = unsafe { libc::getaddrinfo(name, service, &hints, &mut all) };
    if rc != 0 { return Err(std::io::Error::last_os_error()); }
    Ok(())
}
