class A { boolean inside(InetAddress peer) { return peer.isSiteLocalAddress(); } }
