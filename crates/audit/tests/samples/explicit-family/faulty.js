net.connect({ host, port, family: 4 });
