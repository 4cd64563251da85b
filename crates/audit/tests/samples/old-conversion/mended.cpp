std::string f(const sockaddr *a, socklen_t n) { char h[NI_MAXHOST]; getnameinfo(a, n, h, sizeof h, nullptr, 0, NI_NUMERICHOST); return h; }
