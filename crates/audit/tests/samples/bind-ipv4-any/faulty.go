package p
func f() { http.ListenAndServe("0.0.0.0:8080", nil) }
