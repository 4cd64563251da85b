int f(struct sockaddr_in6 *any) {
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    bind(s, (struct sockaddr *)any, sizeof *any);
    return listen(s, 5);
}
