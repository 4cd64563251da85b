package p
func f(host string, port int) string { return fmt.Sprintf("%s:%d", host, port) }
