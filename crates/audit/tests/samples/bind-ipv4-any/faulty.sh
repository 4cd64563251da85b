python3 -m http.server --bind 0.0.0.0 8080
