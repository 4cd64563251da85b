fn inside(peer: &str) -> bool { peer.starts_with("192.168.") }
