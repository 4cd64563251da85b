package p
var ip, err = netip.ParseAddr(text)
