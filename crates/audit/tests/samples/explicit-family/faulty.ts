if (!net.isIPv4(address)) { throw new Error("no address"); }
