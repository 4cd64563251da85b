fn f(name: &str) { let to = (name, 80).to_socket_addrs().unwrap().next().unwrap(); }
