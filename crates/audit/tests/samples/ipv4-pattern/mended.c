int f(const char *ip, void *a) { return parse_address(ip, a); }
int v(const char *version, int *a) { return sscanf(version, "%d.%d.%d.%d", a, a + 1, a + 2, a + 3); }
