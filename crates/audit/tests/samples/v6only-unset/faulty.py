s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
s.bind(("::", 80))
s.listen()
