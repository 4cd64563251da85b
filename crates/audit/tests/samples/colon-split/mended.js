const { hostname, port } = new URL("x://" + address);
