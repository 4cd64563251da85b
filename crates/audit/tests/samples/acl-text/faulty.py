def inside(peer):
    return peer.startswith("10.") or peer.startswith("192.168.")
