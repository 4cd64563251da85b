void f(struct sockaddr *a) { set(a, htonl(INADDR_ANY)); set6(a, in6addr_any); }
