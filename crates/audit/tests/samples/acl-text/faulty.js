const inside = (peer) => peer.startsWith("192.168.");
