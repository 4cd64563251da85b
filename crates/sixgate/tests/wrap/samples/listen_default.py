"""IPV6_V6ONLY is left to the system."""
import socket

s = socket.socket(socket.AF_INET6)
s.bind(("::", 8080))
s.listen()
while True:
    s.accept()[0].close()
