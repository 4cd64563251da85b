my ($a, $b, $c, $d) = unpack("C4", $colour);
