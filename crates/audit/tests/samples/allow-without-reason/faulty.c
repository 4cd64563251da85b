int s = socket(AF_INET, SOCK_RAW, 2); // ipv6-audit: allow explicit-family
