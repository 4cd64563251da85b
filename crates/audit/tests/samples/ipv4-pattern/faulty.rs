fn f() { let address = Regex::new(r"^(\d{1,3}\.){3}\d{1,3}$"); }
