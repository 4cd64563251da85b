void f(int s) {
    sockaddr_in6 to;
    memset(&to, 0, sizeof to);
    to.sin6_family = AF_INET6;
    send_to(s, &to);
}
