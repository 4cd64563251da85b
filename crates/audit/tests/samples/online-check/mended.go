package p
func online() bool { _, err := net.DialTimeout("tcp", "www.example.com:443", time.Second); return err == nil }
