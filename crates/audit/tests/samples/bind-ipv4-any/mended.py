app.run(host=settings.host, port=8080)
