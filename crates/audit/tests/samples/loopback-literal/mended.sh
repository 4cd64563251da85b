curl http://localhost:9000/
