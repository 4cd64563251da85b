// IPv4 alone.
package main

import "net"

func main() {
	listener, err := net.Listen("tcp4", ":8080")
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		connection.Close()
	}
}
