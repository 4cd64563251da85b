//! The export: nft loads it, and the kernel then lets through the packets of just those peers that the list
//! allows.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sixgate_endpoint::Zone;
use sixgate_endpoint::acl::{Acl, Prefix, Rule, Verdict};
use sixgate_lab::{Command, Host, Lab, Link, root_for_tests};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// Packets to the first are judged by the kernel; to the second none are, so they show that a peer was heard.
const PORTS: [u16; 2] = [5300, 5301];

/// What a packet tells of its sender, and to which of the ports it came.
type Heard = HashSet<(IpAddr, u32)>;

fn load(host: &Host, script: &str) {
    host.write_file("/run/acl.nft", script).unwrap();
    let nft = host.spawn(&Command::new("nft").args(["-f", "/run/acl.nft"])).unwrap();
    assert!(nft.wait(PATIENCE * 4).unwrap().success(), "{}", nft.output());
}

/// One who may send: a socket bound to its address, and where the server is for it.
struct Peer {
    socket: UdpSocket,
    server: SocketAddr,
    /// As the server sees it.
    seen: (IpAddr, u32),
}

struct World {
    _lab: Lab,
    server: Host,
    sockets: [UdpSocket; 2],
    peers: Vec<Peer>,
    links: [u32; 2],
}

impl World {
    fn new(name: &str) -> Self {
        root_for_tests().unwrap();
        let lab = Lab::new(name).unwrap();
        let (server, sender) = (lab.host("server").unwrap(), lab.host("sender").unwrap());
        let (eth, wire) = (["eth0", "eth1"], ["wire0", "wire1"]);
        for place in 0..2 {
            lab.link(Link::between((&server, eth[place]), (&sender, wire[place]))).unwrap();
            server.add_address_nodad(eth[place], "fe80::fe/64".parse::<IpNet>().unwrap()).unwrap();
        }
        let index = |host: &Host, name: &str| -> u32 {
            host.read_file(format!("/sys/class/net/{name}/ifindex")).unwrap().trim().parse().unwrap()
        };
        let links = eth.map(|name| index(&server, name));
        let scopes = wire.map(|name| index(&sender, name));
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        for text in ["192.0.2.254/24", "2001:db8::fe/64"] {
            server.add_address_nodad("eth0", net(text)).unwrap();
        }
        for text in ["192.0.2.0/24", "2001:db8::/64"] {
            // The way to the server, before there are addresses to choose a source among.
            sender.add_route(net(text), None, "wire0").unwrap();
        }
        for text in ["0.0.0.0/0", "::/0"] {
            server.add_route(net(text), None, "eth0").unwrap();
        }
        let sockets = PORTS.map(|port| {
            let socket = server.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        let global: Vec<IpAddr> = "192.0.2.1 192.0.2.2 192.0.2.127 192.0.2.128 192.0.2.200 198.51.100.1 198.51.100.7 \
            203.0.113.5 10.0.0.1 10.0.0.2 10.127.255.255 10.128.0.0 172.16.3.4 2001:db8::1 2001:db8::2 \
            2001:db8:0:1::1 2001:db8:0:1::2 2001:db8:ffff:ffff::1 2001:db9::1 fd00::1 fd00::1:0:0:1 64:ff9b::c000:201 \
            64:ff9b::c000:202 2002:c000:201::1 2001:db8::5efe:c000:201 2a00:1::1"
            .split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect();
        let mut peers = Vec::new();
        for address in global {
            sender.add_address_nodad("wire0", IpNet::from(address)).unwrap();
            let server: IpAddr =
                if address.is_ipv4() { "192.0.2.254" } else { "2001:db8::fe" }.parse().unwrap();
            let socket = sender.run(|| UdpSocket::bind((address, 0))).unwrap();
            peers.push(Peer { socket, server: (server, 0).into(), seen: (address, 0) });
        }
        for (place, &scope) in scopes.iter().enumerate() {
            for low in [1, 2, 3, 0x1_0000_0000_0001] {
                let address = Ipv6Addr::from_bits(0xfe80 << 112 | low);
                sender.add_address_nodad(wire[place], net(&format!("{address}/64"))).unwrap();
                let socket = sender.run(|| UdpSocket::bind(SocketAddrV6::new(address, 0, 0, scope))).unwrap();
                let server = SocketAddrV6::new("fe80::fe".parse().unwrap(), 0, 0, scope).into();
                peers.push(Peer { socket, server, seen: (address.into(), links[place]) });
            }
        }
        Self { _lab: lab, server, sockets, peers, links }
    }

    fn index_of(&self, name: &str) -> Option<u32> {
        ["eth0", "eth1"].iter().position(|known| *known == name).map(|place| self.links[place])
    }

    /// Takes what has come to the ports, and how it came: the peer as the list is asked for it.
    fn hear(&self, heard: &mut [Heard; 2], round: u8) {
        let mut packet = [0; 2];
        for (socket, heard) in self.sockets.iter().zip(heard) {
            while let Ok((_, from)) = socket.recv_from(&mut packet) {
                if packet[0] == round {
                    let scope = if let SocketAddr::V6(v6) = from { v6.scope_id() } else { 0 };
                    heard.insert((from.ip().to_canonical(), scope));
                }
            }
        }
    }

    /// Sends from everyone to both ports; says who was heard at the one that the kernel judges.
    fn round(&self, acl: &Acl, round: u8) -> Heard {
        let expected: Heard =
            self.peers.iter().map(|peer| peer.seen).filter(|peer| self.allows(acl, *peer)).collect();
        let mut heard = [Heard::new(), Heard::new()];
        let begin = Instant::now();
        let mut sent = None;
        // All were heard where nobody is judged, and all whom the list allows where they are; whom it does
        // not, had as much time.
        while heard[1].len() < self.peers.len() || !heard[0].is_superset(&expected) {
            if sent.is_none_or(|sent: Instant| sent.elapsed() > Duration::from_millis(500)) {
                for peer in &self.peers {
                    for port in PORTS {
                        let mut server = peer.server;
                        server.set_port(port);
                        peer.socket.send_to(&[round], server).unwrap();
                    }
                }
                sent = Some(Instant::now());
            }
            self.hear(&mut heard, round);
            if begin.elapsed() > PATIENCE {
                let [judged, all] = heard;
                let silent: Vec<_> =
                    self.peers.iter().filter(|peer| !all.contains(&peer.seen)).map(|p| p.seen).collect();
                let missing: Vec<_> = expected.difference(&judged).collect();
                panic!("never heard: {silent:?}; dropped though allowed: {missing:?}; by\n{acl}");
            }
            std::thread::yield_now();
        }
        let [judged, _] = heard;
        judged
    }

    /// What the list says of a peer as a socket of both families would show it.
    fn allows(&self, acl: &Acl, (address, scope): (IpAddr, u32)) -> bool {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let peer = SocketAddrV6::new(address, 4711, 0, scope);
        acl.explain(SocketAddr::from(peer), |name| self.index_of(name)).is_allowed()
    }

    fn check(&self, acl: &Acl, round: u8) -> usize {
        let script = acl.to_nft("sixgate_acl").unwrap().udp([PORTS[0]]).to_string();
        load(&self.server, &script);
        let judged = self.round(acl, round);
        for peer in &self.peers {
            let (by_kernel, by_list) = (judged.contains(&peer.seen), self.allows(acl, peer.seen));
            assert_eq!(
                by_kernel, by_list,
                "{:?}: kernel {by_kernel}, list {by_list}\n{acl}{script}",
                peer.seen
            );
        }
        judged.len()
    }
}

/// Lists over the peers' own neighbourhood.
fn random_list(random: &mut fastrand::Rng, world: &World) -> Acl {
    let prefix = |random: &mut fastrand::Rng| -> Prefix {
        let (address, _) = world.peers[random.usize(..world.peers.len())].seen;
        let prefix = Prefix::new(match address {
            IpAddr::V4(v4) => {
                IpNet::from(Ipv4Net::new(v4, *random.choice(&[0, 1, 8, 9, 24, 25, 31, 32]).unwrap()).unwrap())
            }
            IpAddr::V6(v6) => {
                let length = *random.choice(&[0, 3, 10, 16, 32, 48, 63, 64, 65, 80, 96, 127, 128]).unwrap();
                Ipv6Net::new(v6, length).unwrap().into()
            }
        });
        let zones = ["eth0", "eth1", "gone"].map(|name| Zone::from_name(name).unwrap());
        let zone = match random.u8(..6) {
            place @ 0..3 => Some(zones[usize::from(place)]),
            3 => Zone::from_index(world.links[random.usize(..2)]),
            _ => None,
        };
        zone.and_then(|zone| prefix.with_zone(zone)).unwrap_or(prefix)
    };
    let mut rules = Vec::new();
    for _ in 0..random.usize(1..25) {
        let verdict = if random.bool() { Verdict::Allow } else { Verdict::Deny };
        let prefixes: Vec<_> = (0..random.usize(1..3)).map(|_| prefix(random)).collect();
        rules.extend(Rule::new(verdict, prefixes));
    }
    Acl::new(rules)
}

#[test]
fn the_kernel_says_what_the_list_says() {
    let world = World::new("acl-nft");
    let written = [
        ("", 0),
        ("allow 0.0.0.0/0, ::/0", 34),
        ("allow 0.0.0.0/0", 13),
        ("allow ::/0", 21),
        ("allow fe80::%eth0/10", 4),
        ("deny fe80::%eth0/10\nallow ::/0", 17),
        ("deny fe80::1\nallow fe80::%eth0/10\ndeny fe80::/64\nallow ::/0", 16),
        ("allow fe80::%gone/10", 0),
        ("allow 2001:db9::/32\ndeny ::/0\nallow fe80::%eth0/10", 1),
        ("allow ::ffff:192.0.2.0/120", 5),
        ("deny 192.0.2.1, 192.0.2.200\nallow 192.0.2.0/24, 198.51.100.7", 4),
    ];
    let mut round = 0;
    for (text, count) in written {
        assert_eq!(world.check(&text.parse().unwrap(), round), count, "{text}");
        round += 1;
    }
    let mut random = fastrand::Rng::with_seed(64);
    let (mut some, mut lists) = (0, 0);
    while lists < 40 {
        let heard = world.check(&random_list(&mut random, &world), round);
        some += usize::from(heard > 0 && heard < world.peers.len());
        lists += 1;
        round += 1;
    }
    assert!(some > 20, "lists that allow some and deny some: {some}");
}

#[test]
fn names_that_could_mean_more_are_kept_apart() {
    root_for_tests().unwrap();
    let lab = Lab::new("acl-nft-names").unwrap();
    let host = lab.host("server").unwrap();
    let acl: Acl =
        "allow fe80::%eth+/10, fe80::%3/10, fe80::1%a@b, fe80::1%a.b-c~d, ff02::1%x_y".parse().unwrap();
    let script = acl.to_nft("t").unwrap().tcp([25, 25]).udp([53]).to_string();
    assert_eq!(script.matches("dport 25").count(), 1);
    load(&host, &script);
    let nft = host.spawn(&Command::new("nft").args(["list", "ruleset"])).unwrap();
    assert!(nft.wait(PATIENCE).unwrap().success());
    let listed = nft.output();
    for part in [
        r#"iifname "eth+" ip6 saddr fe80::/10 accept"#,
        r#"iifname "a@b""#,
        r#"iifname "a.b-c~d""#,
        r#"iifname "x_y""#,
        "iif 3 ",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    for name in ["", "7", "a b", "a;", "a\n", "\u{e9}"] {
        assert!(acl.to_nft(name).is_err(), "{name}");
    }
}

/// A list of many prefixes is taken whole: none is lost on the way.
#[test]
fn fifty_thousand_prefixes_load() {
    root_for_tests().unwrap();
    let lab = Lab::new("acl-nft-many").unwrap();
    let host = lab.host("server").unwrap();
    // No two of them are neighbours.
    let v4 = (0..25_000u32).map(|place| Ipv4Net::new((0x0a00_0000 + place * 512).into(), 24).unwrap().into());
    let v6 =
        (0..25_000u128).map(|place| Ipv6Net::new((0x2001 << 112 | place << 81).into(), 48).unwrap().into());
    let acl = Acl::new(Rule::new(Verdict::Allow, v4.chain(v6).collect::<Vec<IpNet>>()));
    load(&host, &acl.to_nft("many").unwrap().to_string());
    for (set, first, last) in
        [("allowed4", "10.0.0.0", "10.195.78.0"), ("allowed6", "2001::", "2001:0:c34e::")]
    {
        for (element, there) in [(first, true), (last, true), ("9.0.0.0", false), ("3000::", false)] {
            if element.contains(':') == first.contains(':') {
                let nft = host
                    .spawn(&Command::new("nft").args([
                        "get",
                        "element",
                        "inet",
                        "many",
                        set,
                        &format!("{{ {element} }}"),
                    ]))
                    .unwrap();
                assert_eq!(nft.wait(PATIENCE).unwrap().success(), there, "{element}: {}", nft.output());
            }
        }
    }
}
