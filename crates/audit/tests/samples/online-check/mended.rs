fn online() -> bool { TcpStream::connect("www.example.com:443").is_ok() }
