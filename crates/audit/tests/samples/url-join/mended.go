package p
func f(host string, port string) url.URL { return url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)} }
