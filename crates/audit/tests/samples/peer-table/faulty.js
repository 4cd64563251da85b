hits[req.ip] = (hits[req.ip] || 0) + 1;
