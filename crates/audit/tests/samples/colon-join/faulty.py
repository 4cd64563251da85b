endpoint = "%s:%d" % (host, port)
