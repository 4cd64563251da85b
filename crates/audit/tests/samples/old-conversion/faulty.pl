my $packed = inet_aton($text) or die "no address: $text";
