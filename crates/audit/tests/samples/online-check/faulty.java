class A { Socket s = new Socket("8.8.8.8", 53); }
