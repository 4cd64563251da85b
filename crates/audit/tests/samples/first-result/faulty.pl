my ($error, @all) = getaddrinfo($name, 80);
connect($socket, $all[0]{addr}) or die;
