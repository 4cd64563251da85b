fn f(to: SocketAddr) -> String { format!("http://{to}/") }
