my $s = Server->new(LocalHost => "localhost", LocalPort => 80);
