use Socket qw(getaddrinfo);
my ($error, @all) = getaddrinfo($ARGV[0], "http");
for my $one (@all) { try_it($one); }

=head1 NOTES

gethostbyname($x) is only spoken of here, as is 10.0.0.1.

=cut

# and gethostbyname($x) here
