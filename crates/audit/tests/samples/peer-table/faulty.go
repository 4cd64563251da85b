package p
var hits = map[netip.Addr]int{}
