# ipv6-audit: allow ipv4-tool
ifconfig eth0 up
