void f(struct sockaddr *a) { set(a, resolve("localhost")); }
