int f(struct addrinfo **a, const char *text, const struct addrinfo *hints) { return getaddrinfo(text, NULL, hints, a) ? 0 : !(*a)->ai_next; }
