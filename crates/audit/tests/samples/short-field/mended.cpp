void f() { char text[INET6_ADDRSTRLEN + 20]; }
