class A { InetAddress ip = InetAddress.ofLiteral(text); }
