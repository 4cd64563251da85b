int open_it(const struct addrinfo *ai) {
    return socket(ai->ai_family, SOCK_STREAM, 0);
}
