class A { String f(String host, int port) { return host + ":" + port; } }
