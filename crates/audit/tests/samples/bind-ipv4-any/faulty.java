class A { Object s = new InetSocketAddress("0.0.0.0", 8080); }
