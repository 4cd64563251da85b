my ($error, $host, $port) = getnameinfo($peer, NI_NUMERICHOST | NI_NUMERICSERV);
