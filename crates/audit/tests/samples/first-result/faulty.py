family, kind, proto, canonical, address = socket.getaddrinfo(name, 80)[0]
