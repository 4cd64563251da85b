def local(ip):
    return ip.startswith("127.")
