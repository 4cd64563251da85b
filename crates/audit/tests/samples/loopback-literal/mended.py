c = connect("localhost", 9000)
