"""Flow information that nobody set on purpose."""
import socket

info = socket.getaddrinfo("www.example.com", 80, socket.AF_INET6, socket.SOCK_STREAM)[0]
s = socket.socket(socket.AF_INET6)
try:
    s.connect(info[4][:2] + (0x12345, 0))
except OSError as e:
    print(e)
