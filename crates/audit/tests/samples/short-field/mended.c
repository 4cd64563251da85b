struct peer { char ip[64]; int port; char ifname[16]; };
