const endpoint = `${host}:${port}`;
