// Which address is mine? Asked about one IPv4 address.
package main

import "net"

func main() {
	net.Dial("udp", "203.0.113.53:53")
	net.Dial("tcp", "www.example.com:80")
}
