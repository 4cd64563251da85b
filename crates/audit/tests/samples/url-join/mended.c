void f(char *out, size_t n, const char *host, int port) { snprintf(out, n, "http://[%s]:%d/", host, port); }
