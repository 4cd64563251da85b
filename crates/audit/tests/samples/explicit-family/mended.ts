if (!net.isIP(address)) { throw new Error("no address"); }
