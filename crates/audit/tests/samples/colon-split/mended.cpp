void f(std::string host) { auto port = parse_endpoint(host).port; }
