"""Am I online? Asked of one IPv4 address."""
import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("203.0.113.53", 53))
socket.create_connection(("www.example.com", 80), timeout=2)
