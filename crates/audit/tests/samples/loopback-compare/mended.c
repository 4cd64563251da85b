int local(const struct in6_addr *peer) { return IN6_IS_ADDR_LOOPBACK(peer); }
