"""Every address that the name has, in the resolver's order."""
import socket

socket.create_connection(("www.example.com", 80), timeout=2)
