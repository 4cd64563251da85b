python3 -m http.server --bind :: 8080
