fn f(host: &str, port: u16) -> String { format!("{host}:{port}") }
