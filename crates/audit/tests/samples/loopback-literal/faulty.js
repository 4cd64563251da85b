const c = net.connect(9000, "127.0.0.1");
