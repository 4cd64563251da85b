dns.lookup(name, (error, address) => connect(address));
