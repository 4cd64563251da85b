import socket
address = socket.gethostbyname(name)
