fn f() { let s = SocketAddr::from(([0, 0, 0, 0], 8080)); }
