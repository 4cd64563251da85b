import ipaddress
number = int(ipaddress.ip_address(ip))
