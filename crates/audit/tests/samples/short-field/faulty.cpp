void f() { char text[INET_ADDRSTRLEN]; }
