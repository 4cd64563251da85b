my $target = "$host:$port";
