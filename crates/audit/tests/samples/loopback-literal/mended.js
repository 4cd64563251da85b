const c = net.connect(9000, "localhost");
