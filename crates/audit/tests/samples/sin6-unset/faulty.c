void f(int s) {
    struct sockaddr_in6 to;
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(53);
    send_to(s, &to);
}
