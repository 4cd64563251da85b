pub struct Peer {
    pub host: Ipv4Addr,
}
