class A { boolean local(String ip) { return "127.0.0.1".equals(ip) || ip.equals("127.0.0.1"); } }
