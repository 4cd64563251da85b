class A { String server = "10.20.30.40"; }
