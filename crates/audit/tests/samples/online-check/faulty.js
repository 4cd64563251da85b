const probe = net.createConnection(53, "8.8.8.8");
