void f(std::string host) { auto port = host.substr(host.find(":") + 1); }
