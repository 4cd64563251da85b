void f(int s, int tos) { setsockopt(s, IPPROTO_IP, IP_TOS, &tos, sizeof tos); }
