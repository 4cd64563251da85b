void f(struct addrinfo *hints) { hints->ai_flags = AI_PASSIVE; }
