dns_server = "10.20.30.40"
