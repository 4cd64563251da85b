endpoint = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
place = "%s:%d" % (path, line)
