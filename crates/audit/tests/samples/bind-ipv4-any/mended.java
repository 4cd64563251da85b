class A { Object s = new InetSocketAddress(8080); }
