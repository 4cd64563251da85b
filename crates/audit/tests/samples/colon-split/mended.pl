my ($host, $port) = $address =~ m{^\[?(.+?)\]?:(\d+)$};
my ($hour, $minute) = split /:/, $time;
