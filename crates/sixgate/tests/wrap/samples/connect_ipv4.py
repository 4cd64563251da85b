"""gethostbyname knows IPv4 alone."""
import socket

s = socket.socket()
s.connect((socket.gethostbyname("www.example.com"), 80))
