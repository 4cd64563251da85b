dns.lookup(name, { all: true }, (error, addresses) => race(addresses));
