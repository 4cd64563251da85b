fn f(address: &str) { let (host, port) = address.split_once(':').unwrap(); }
