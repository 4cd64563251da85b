class A { String host(String address) { return address.split(":")[0]; } }
