use IO::Socket::IP;
my $s = IO::Socket::IP->new(PeerHost => $name, PeerService => 80) or die;
