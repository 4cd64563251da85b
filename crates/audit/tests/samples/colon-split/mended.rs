fn f(address: &str) { let endpoint: SocketAddr = address.parse().unwrap(); let (time, zone) = clock.split_once(':').unwrap(); }
