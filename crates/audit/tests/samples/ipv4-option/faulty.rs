fn f(s: &UdpSocket) { s.join_multicast_v4(&GROUP, &ANY); }
