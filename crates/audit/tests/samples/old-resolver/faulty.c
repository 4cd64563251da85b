struct hostent *f(const char *name) { return gethostbyname(name); }
