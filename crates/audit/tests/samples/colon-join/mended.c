void f(char *out, size_t n, const char *host, int port) { snprintf(out, n, strchr(host, 58) ? "[%s]:%d" : "%s:%d", host, port); }
