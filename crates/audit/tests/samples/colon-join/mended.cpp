std::string f(std::string host, int port) { return "[" + host + "]:" + std::to_string(port); }
