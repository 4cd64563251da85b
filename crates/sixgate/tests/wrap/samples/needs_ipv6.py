"""Ends where no IPv6 socket can be made."""
import socket

s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 8080))
s.listen()
while True:
    s.accept()[0].close()
