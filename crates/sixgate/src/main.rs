//! `sixgate`: an IPv6-only network that starts with one command.

mod config;

fn main() {}
