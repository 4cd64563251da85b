import socket
s = socket.create_connection(("www.example.com", 80))
