package p
var hits = map[netip.Addr]int{}
func forget(a netip.Addr) { delete(hits, a) }
