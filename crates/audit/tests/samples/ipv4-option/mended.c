void f(int s, int tos) {
    setsockopt(s, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    setsockopt(s, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
}
