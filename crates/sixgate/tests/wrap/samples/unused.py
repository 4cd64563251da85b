"""A socket for each family, of which one is used."""
import socket

spare = socket.socket(socket.AF_INET)
socket.create_connection(("www.example.com", 80), timeout=2)
