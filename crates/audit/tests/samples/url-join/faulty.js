const page = `http://${host}:${port}/`;
