const local = req.ip === "127.0.0.1";
