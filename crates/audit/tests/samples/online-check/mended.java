class A { Socket s = new Socket("www.example.com", 443); }
