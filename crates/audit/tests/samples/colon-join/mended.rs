fn f(host: IpAddr, port: u16) -> String { SocketAddr::new(host, port).to_string() }
