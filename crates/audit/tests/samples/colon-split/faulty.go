package p
func f(addr string) { host := strings.Split(addr, ":")[0]; use(host) }
