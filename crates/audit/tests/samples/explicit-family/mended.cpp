auto hints = addrinfo{};
hints.ai_family = PF_UNSPEC;
