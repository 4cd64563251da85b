class A { boolean inside(String peer) { return peer.startsWith("10."); } }
