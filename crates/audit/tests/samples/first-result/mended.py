s = socket.create_connection((name, 80))
