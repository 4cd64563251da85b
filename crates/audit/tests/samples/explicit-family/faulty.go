package p
func dial(a string) (net.Conn, error) { return net.Dial("tcp4", a) }
