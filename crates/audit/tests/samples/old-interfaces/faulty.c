int f(int s, struct ifconf *c) { return ioctl(s, SIOCGIFCONF, c); }
