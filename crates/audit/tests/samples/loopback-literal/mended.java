class A { Socket s = new Socket("localhost", 9000); }
