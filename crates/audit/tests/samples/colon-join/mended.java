class A { String f(String host, int port) { return HostAndPort.fromParts(host, port).toString(); } }
