"""What ipaddress reads in each line of its input, in its canonical form; `-` where it refuses."""
import ipaddress
import sys

for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    try:
        print(ipaddress.ip_address(line))
    except ValueError:
        print("-")
