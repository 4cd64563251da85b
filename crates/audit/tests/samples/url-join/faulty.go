package p
func f(host string, port int) string { return fmt.Sprintf("http://%s:%d/", host, port) }
