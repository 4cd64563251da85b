package p
func f(name string) (net.Conn, error) {
	return net.Dial("tcp", net.JoinHostPort(name, "80"))
}
