fn local(ip: IpAddr) -> bool { ip.to_canonical().is_loopback() }
