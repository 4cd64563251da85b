int f(struct ifaddrs **all) { return getifaddrs(all); }
