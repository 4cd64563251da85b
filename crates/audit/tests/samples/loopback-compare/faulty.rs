fn local(ip: &str) -> bool { ip == "127.0.0.1" }
