die "go away" unless $peer eq "127.0.0.1" or $peer eq "::1";
