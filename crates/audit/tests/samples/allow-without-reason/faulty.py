# ipv6-audit: allow no-such-rule because it is old
x = 1
