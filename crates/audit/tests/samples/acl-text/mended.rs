fn inside(peer: IpAddr) -> bool { acl.allows(peer) }
