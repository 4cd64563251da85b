package p
func online() bool { _, err := net.DialTimeout("udp", "8.8.8.8:53", time.Second); return err == nil }
