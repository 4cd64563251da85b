// IPv4 alone.
package main

import (
	"net"
	"os"
	"time"
)

func main() {
	if _, err := net.DialTimeout("tcp4", "www.example.com:80", 3*time.Second); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
