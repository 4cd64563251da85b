std::string f(in_addr a) { return inet_ntoa(a); }
