my ($error, $address) = getaddrinfo($text, "", { flags => AI_NUMERICHOST });
