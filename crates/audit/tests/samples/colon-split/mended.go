package p
func f(addr string) { host, port, err := net.SplitHostPort(addr); use(host, port, err) }
