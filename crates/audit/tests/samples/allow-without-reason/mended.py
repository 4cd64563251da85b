# ipv6-audit: allow old-resolver because the box it asks has IPv4 only
x = socket.gethostbyname(name)
