my ($name, $aliases, $type, $length, @all) = gethostbyname $ARGV[0];
