const number = ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
