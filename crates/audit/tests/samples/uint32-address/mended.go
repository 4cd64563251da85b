package p
type lease struct { ip netip.Addr; count uint32 }
