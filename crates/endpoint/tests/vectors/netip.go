// What net/netip reads in each line of its input: ParseAddr, a tab, ParseAddrPort; `-` where it refuses.
package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		address, port := "-", "-"
		if read, err := netip.ParseAddr(lines.Text()); err == nil {
			address = read.String()
		}
		if read, err := netip.ParseAddrPort(lines.Text()); err == nil {
			port = read.String()
		}
		fmt.Printf("%s\t%s\n", address, port)
	}
}
