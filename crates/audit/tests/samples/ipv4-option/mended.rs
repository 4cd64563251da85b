fn f(s: &UdpSocket) { s.join_multicast_v4(&GROUP, &ANY); s.join_multicast_v6(&GROUP6, 0); }
