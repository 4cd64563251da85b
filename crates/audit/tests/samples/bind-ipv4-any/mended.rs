fn f() { let s = [SocketAddr::from(([0, 0, 0, 0], 8080)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))]; }
