class A { String host(URI address) { return address.getHost(); } }
