import socket
packed = socket.inet_aton(text)
