def online():
    s.connect(("www.example.com", 443))
