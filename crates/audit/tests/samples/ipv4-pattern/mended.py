import ipaddress
address = ipaddress.ip_address(text)
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)")
