return 1 if $peer =~ /^10\./;
