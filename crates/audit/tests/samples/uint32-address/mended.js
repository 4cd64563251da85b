const known = ranges.check(ip, net.isIPv6(ip) ? "ipv6" : "ipv4");
