const page = new URL(`http://[${host}]:${port}/`);
