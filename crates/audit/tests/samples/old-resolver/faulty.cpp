void f(std::string name) { auto *h = ::gethostbyname(name.c_str()); }
