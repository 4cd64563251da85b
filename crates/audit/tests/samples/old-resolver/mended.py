import socket
for family, kind, proto, canonical, address in socket.getaddrinfo(name, 80):
    pass
