host=${address%%:*}
