package p
func f(s int, t int) {
	syscall.SetsockoptInt(s, syscall.IPPROTO_IP, syscall.IP_TTL, t)
	syscall.SetsockoptInt(s, syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, t)
}
