void f(char *address) { char *port = strchr(address, ':'); }
