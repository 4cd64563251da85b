def local(ip):
    return ipaddress.ip_address(ip).is_loopback
