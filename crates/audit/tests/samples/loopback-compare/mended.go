package p
func local(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }
