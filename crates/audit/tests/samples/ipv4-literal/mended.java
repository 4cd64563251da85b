class A { String server = "logs.example.com"; String version = "10.20.30.40"; }
