package p
type lease struct { ip uint32 }
