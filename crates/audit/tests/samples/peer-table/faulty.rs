struct Limiter { hits: HashMap<IpAddr, u32> }
