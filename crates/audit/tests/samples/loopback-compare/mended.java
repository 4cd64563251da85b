class A { boolean local(InetAddress ip) { return ip.isLoopbackAddress(); } }
