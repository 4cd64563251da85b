int f(const char *ip, int *a) { return sscanf(ip, "%d.%d.%d.%d", a, a + 1, a + 2, a + 3); }
