class Limiter { std::map<in6_addr, int> hits_; void shrink() { hits_.erase(hits_.begin()); } };
