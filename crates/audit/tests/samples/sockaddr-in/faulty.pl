my ($port, $packed) = unpack_sockaddr_in($peer);
