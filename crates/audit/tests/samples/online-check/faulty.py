def online():
    s.connect(("8.8.8.8", 80))
