import socket, struct
number = struct.unpack("!I", socket.inet_aton(ip))[0]
