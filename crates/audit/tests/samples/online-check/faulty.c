int online(void) { return connect_to(inet_parse("8.8.8.8"), 53) || system("ping -c1 8.8.8.8"); }
