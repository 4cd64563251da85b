void f(struct sockaddr *a) { set(a, htonl(INADDR_ANY)); }
