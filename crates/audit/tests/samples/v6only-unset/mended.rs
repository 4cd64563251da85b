fn f() { let l = Socket::new(Domain::IPV6, Type::STREAM, None); l.set_only_v6(true); l.bind(&any); l.listen(5); }
