class Limiter { std::map<in6_addr, int> hits_; };
