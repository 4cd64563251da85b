package p
func f() { http.ListenAndServe(":8080", nil) }
