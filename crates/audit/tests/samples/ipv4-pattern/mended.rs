fn f() { let address = text.parse::<IpAddr>(); }
