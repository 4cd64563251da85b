struct Lease { ip: IpAddr, count: u32 }
