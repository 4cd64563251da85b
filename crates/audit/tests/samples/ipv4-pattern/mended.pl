my ($ip) = split m/,/, $line;
