parts = urllib.parse.urlsplit("//" + address)
hour, minute = clock.split(":")
