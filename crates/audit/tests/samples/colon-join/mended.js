const endpoint = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
