fn f() -> Result<(), Error> {
    let rc = unsafe { libc::getaddrinfo(name, service, &hints, &mut all) };
    if rc != 0 { return Err(Error::Resolver(unsafe { libc::gai_strerror(rc) })); }
    Ok(())
}
