my $s = Server->new(LocalAddr => q(127.0.0.1), LocalPort => 80);
