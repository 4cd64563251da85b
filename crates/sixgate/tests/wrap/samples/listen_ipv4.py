"""IPv4 alone."""
import socket

s = socket.socket()
s.bind(("", 8080))
s.listen()
while True:
    s.accept()[0].close()
