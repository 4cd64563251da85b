const isAddress = (text) => net.isIP(text) !== 0;
