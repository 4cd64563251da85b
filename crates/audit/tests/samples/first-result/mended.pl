my ($error, @all) = getaddrinfo($name, 80);
for my $one (@all) { last if connect($socket, $one->{addr}); }
