fn online() -> bool { TcpStream::connect("1.1.1.1:53").is_ok() }
