int local(const char *peer) { return !strcmp(peer, "127.0.0.1"); }
