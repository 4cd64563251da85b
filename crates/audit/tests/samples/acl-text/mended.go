package p
func inside(peer netip.Addr) bool { return lan.Contains(peer.Unmap()) }
func old(version string) bool { return strings.HasPrefix(version, "1.") }
