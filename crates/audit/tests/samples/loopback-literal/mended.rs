fn f() { let c = TcpStream::connect("localhost:9000"); }
