void f(std::string name) { resolver.resolve(name, "http"); }
