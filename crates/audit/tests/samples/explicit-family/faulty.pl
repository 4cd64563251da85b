use IO::Socket::INET;
my $s = IO::Socket::INET->new(PeerAddr => $name, PeerPort => 80) or die;
