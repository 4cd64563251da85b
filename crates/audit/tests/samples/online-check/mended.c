int online(void) { return connect_to_name("www.example.com", 443); }
