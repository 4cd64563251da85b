const [host, port] = address.split(":");
