package p
func f(name string) (net.Conn, error) {
	addrs, err := net.LookupHost(name)
	if err != nil { return nil, err }
	return net.Dial("tcp", net.JoinHostPort(addrs[0], "80"))
}
