fn f() { let l = TcpListener::bind("[::]:80"); }
