struct Limiter { hits: HashMap<IpAddr, u32> }
fn shrink(l: &mut Limiter) { l.hits.retain(|_, hits| *hits > 0); }
