my $target = $host =~ /:/ ? "[" . $host . "]:$port" : join(":", $host, $port);
