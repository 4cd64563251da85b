return 1 if $version =~ m/^v10-/;
