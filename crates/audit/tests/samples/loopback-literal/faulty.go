package p
var c, err = net.Dial("tcp", "127.0.0.1:9000")
