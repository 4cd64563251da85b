int f(const char *name, struct addrinfo **all) {
    int rc = getaddrinfo(name, "http", 0, all);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", name, strerror(rc));
    return rc || !(*all)->ai_next;
}
