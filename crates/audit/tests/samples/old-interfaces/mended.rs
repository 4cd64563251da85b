fn f() { for path in ["/proc/net/tcp", "/proc/net/tcp6"] { let table = std::fs::read_to_string(path); } }
