struct Lease { ip: u32 }
