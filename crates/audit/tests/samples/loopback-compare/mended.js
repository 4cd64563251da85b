const local = loopback.check(req.ip);
