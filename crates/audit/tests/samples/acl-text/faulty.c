int inside(const char *peer) { return strncmp(peer, "10.", 3) == 0; }
