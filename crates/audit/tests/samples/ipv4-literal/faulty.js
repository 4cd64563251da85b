const proxy = "http://10.20.30.40:3128";
