int f(const char *name) {
    struct addrinfo *all;
    if (getaddrinfo(name, "http", 0, &all)) return -1;
    return connect(s, all->ai_addr, all->ai_addrlen);
}
