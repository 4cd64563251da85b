page = "http://[%s]:%s/" % (host, port)
