struct peer { char ip[16]; int port; };
