my ($host, $port) = split /:/, $address;
