package p
var a, err = net.ResolveIPAddr("ip4", name)
