package p
func f(host string, port string) string { return net.JoinHostPort(host, port) }
func g(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }
