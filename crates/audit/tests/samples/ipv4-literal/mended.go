package p
var server = "http://api.example.com/api"
