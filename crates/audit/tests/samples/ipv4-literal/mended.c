const char *log_server = "logs.example.com";
