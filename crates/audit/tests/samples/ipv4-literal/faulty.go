package p
var server = "http://10.20.30.40/api"
