"""The first address, or none."""
import socket

family, kind, protocol, _, address = socket.getaddrinfo("www.example.com", 80, type=socket.SOCK_STREAM)[0]
s = socket.socket(family, kind, protocol)
s.settimeout(2)
s.connect(address)
