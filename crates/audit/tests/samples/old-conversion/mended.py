import ipaddress
packed = ipaddress.ip_address(text).packed
