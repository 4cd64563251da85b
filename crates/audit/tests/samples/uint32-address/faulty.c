struct lease { uint32_t ip; time_t until; };
