package p
var c, err = net.Dial("tcp", "localhost:9000")
