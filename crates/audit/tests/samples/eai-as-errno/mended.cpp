bool f(const char *name, addrinfo **all) { return getaddrinfo(name, "http", nullptr, all) != 0 || (*all)->ai_next; }
