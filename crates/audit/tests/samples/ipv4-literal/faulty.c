const char *log_server = "10.20.30.40";
