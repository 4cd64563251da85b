net.connect({ host, port });
