const inside = (peer) => lan.check(peer);
