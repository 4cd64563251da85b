int inside(const struct sockaddr *peer) { return acl_contains(&local_networks, peer); }
