host, port = address.split(":")
