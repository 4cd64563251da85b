void f(struct in_addr *a, const char *text) { a->s_addr = inet_addr(text); }
