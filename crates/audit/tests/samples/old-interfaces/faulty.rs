fn f() { let table = std::fs::read_to_string("/proc/net/tcp"); }
