dns_server = settings["dns"]
version = "10.20.30.40"
