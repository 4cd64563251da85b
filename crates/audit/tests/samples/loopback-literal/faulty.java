class A { Socket s = new Socket("127.0.0.1", 9000); }
