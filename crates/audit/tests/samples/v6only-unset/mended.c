int f(struct sockaddr_in6 *any) {
    int s = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    bind(s, (struct sockaddr *)any, sizeof *any);
    return listen(s, 5);
}
