fn f() { let c = TcpStream::connect("127.0.0.1:9000"); }
