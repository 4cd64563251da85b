server.listen(8080, "0.0.0.0");
