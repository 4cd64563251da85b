class A { URI f(String host, int port) { return new URI("http", null, host, port, "/", null, null); } }
