package p
var a, err = net.ResolveIPAddr("ip", name)
