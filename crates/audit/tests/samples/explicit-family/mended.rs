pub struct Peer {
    pub host: IpAddr,
}
