const probe = net.createConnection(443, "www.example.com");
