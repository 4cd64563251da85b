class A {
    boolean known(InetAddress a) { return a instanceof Inet4Address; }
}
