struct lease { struct sockaddr_storage ip; time_t until; uint32_t ip_count; };
