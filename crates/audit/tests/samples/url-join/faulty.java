class A { String f(String host, int port) { return "http://" + host + ":" + port; } }
