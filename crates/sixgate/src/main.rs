//! sixgate: an IPv6-only network that starts with one command.
fn main() {}
