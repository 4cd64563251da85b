hits[req.ip] = (hits[req.ip] || 0) + 1;
setInterval(() => hits.clear(), 60000);
