package p
func inside(peer string) bool { return strings.HasPrefix(peer, "192.168.") }
