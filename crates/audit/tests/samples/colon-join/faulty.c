void f(char *out, size_t n, const char *host, int port) { snprintf(out, n, "%s:%d", host, port); }
