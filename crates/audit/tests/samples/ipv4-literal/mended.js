const proxy = "http://proxy.example.com:3128";
