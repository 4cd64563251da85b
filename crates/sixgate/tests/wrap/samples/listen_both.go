// A listener for each family.
package main

import "net"

func main() {
	for _, network := range []string{"tcp6", "tcp4"} {
		listener, err := net.Listen(network, ":8080")
		if err != nil {
			continue
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				connection.Close()
			}
		}()
	}
	select {}
}
