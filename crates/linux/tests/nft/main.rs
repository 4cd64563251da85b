//! The firewall against real packets and stock programs: `ip` builds the networks, `nft` lists what the kernel
//! has, `nmap` scans. Every test makes its own network namespaces; they end with it. Needs root.

// Helpers outside of #[test] may panic as well: they are the tests' own.
#![allow(clippy::unwrap_used, clippy::panic)]

mod ipv4;
mod network;
mod relay;

use std::io::Write as _;
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Uid;
use sixgate_linux::nft::{Error, Firewall};

use network::{GATEWAY, Host, LAN, LAN1, Network, PATIENCE, Packet, WAN, config, lan, output};

/// The next datagram at `socket`, as text.
fn received(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn a_scan_from_the_wan_gets_nothing() {
    let mut network = Network::new();
    for port in [22, 53, 8080] {
        network.gateway.greet(port);
    }
    let _dns = network.gateway.udp("[::]:53");
    let _server = network.gateway.udp("[::]:547");
    // The scan can see: without the firewall it does.
    let scan = "-6 -n -Pn -sS -p 22,53,80 --max-retries 1 -oG - 2001:db8:f::2";
    let seen = network.wan.program("nmap", scan);
    assert!(seen.contains("22/open/tcp") && seen.contains("80/closed/tcp"), "{seen}");

    network.firewall.apply(&config()).unwrap();
    let scan = "-6 -n -Pn -sS -p- --max-retries 0 --min-rate 20000 --host-timeout 60s -oX - 2001:db8:f::2";
    let seen = network.wan.program("nmap", scan);
    assert!(seen.contains(r#"<extraports state="filtered" count="65535">"#), "{seen}");
    assert!(network.count("wan-input-dropped") >= 65_535);

    // The gateway's address on the LAN is no way in either; 546 has no listener and would be refused.
    let scan = "-6 -n -Pn -sU -p 53,546,547 --max-retries 0 --host-timeout 60s -oG - 2001:db8:f::2";
    let other = "-6 -n -Pn -sU -p 53,546,547 --max-retries 0 --host-timeout 60s -oG - 2001:db8:1000::1";
    for scan in [scan, other] {
        let seen = network.wan.program("nmap", scan);
        for port in ["53", "546", "547"] {
            assert!(seen.contains(&format!("{port}/open|filtered/")), "{seen}");
        }
    }
    network.wan.hears_nothing("2001:db8:1000::1", 22);
    network.wan.hears_nothing("192.0.2.2", 22);
    assert_eq!(network.lan.visit(GATEWAY, 22), "hello");
}

#[test]
fn lans_reach_out_and_answers_come_back() {
    let mut network = Network::guarded();
    network.wan.greet(80);
    network.lan.greet(80);
    network.lan1.greet(80);
    network.gateway.greet(80);
    assert_eq!(network.lan.visit(WAN, 80), "hello");
    assert_eq!(network.lan.visit(LAN1, 80), "hello");
    assert_eq!(network.gateway.visit(WAN, 80), "hello");
    assert_eq!(network.lan.visit("2001:db8:1000::1", 80), "hello");
    assert_eq!(network.count("wan-forward-dropped"), 0);

    network.wan.hears_nothing(LAN, 80);
    assert!(network.count("wan-forward-dropped") >= 1);

    // Nor is the gateway a way for the WAN to anywhere else.
    let ear = network.wan.udp("[::]:9000");
    let before = network.count("wan-forward-dropped");
    let hairpin = Packet::udp("2001:db8:f::5", WAN, 1, 9000, b"through the gateway");
    network.wan.raw(Packet { first_hop: GATEWAY.parse().unwrap(), ..hairpin });
    network.counted("wan-forward-dropped", before + 1);
    network.lan.raw(Packet::udp(LAN, WAN, 1, 9000, b"from inside"));
    assert_eq!(received(&ear), "from inside");
}

#[test]
fn an_interface_that_is_not_managed_is_left_alone() {
    let network = Network::guarded();
    network.gateway.greet(22);
    assert_eq!(network.wan.visit("2001:db8:e::2", 22), "hello");
    network.wan.hears_nothing(GATEWAY, 22);
}

#[test]
fn forged_sources_go_nowhere_and_are_counted() {
    let mut network = Network::guarded();
    let ear = network.wan.udp("[::]:9000");
    let send = |host: &Host, source: &str, text: &str| {
        host.raw(Packet::udp(source, WAN, 1000, 9000, text.as_bytes()));
    };
    send(&network.lan, "2001:db8:bad::1", "foreign");
    send(&network.lan, LAN1, "the other LAN's");
    send(&network.lan, "2001:db8:1000:7::1", "just below what is delegated");
    send(&network.lan, "2001:db8:1000:10::1", "just above");
    send(&network.lan, "::", "unspecified");
    network.counted("spoofed-lan0", 5);
    send(&network.lan1, LAN, "the other LAN's");
    network.counted("spoofed-lan1", 1);
    // Packets keep their order on a veth: if a forged one had passed, it would come first.
    send(&network.lan, LAN, "own");
    assert_eq!(received(&ear), "own");
    send(&network.lan, "2001:db8:1000:f:1:2:3:4", "delegated");
    assert_eq!(received(&ear), "delegated");

    let ear = network.lan.udp("[::]:9000");
    network.wan.raw(Packet::udp(LAN1, LAN, 1000, 9000, b"forged"));
    network.wan.raw(Packet::udp("2001:db8:1000:f::1", GATEWAY, 1000, 9000, b"forged"));
    // Delegated to us, though on no LAN.
    network.wan.raw(Packet::udp("2001:db8:1000:800::1", GATEWAY, 1000, 9000, b"forged"));
    network.counted("spoofed-wan", 3);
    network.lan1.raw(Packet::udp(LAN1, LAN, 1000, 9000, b"true"));
    assert_eq!(received(&ear), "true");
    assert_eq!((network.count("spoofed-lan0"), network.count("spoofed-lan1")), (5, 1));
}

#[test]
fn type_0_routing_headers_are_dropped() {
    let mut network = Network::guarded();
    let routed = |segments_left: u8| {
        let mut packet = Packet::udp(LAN, WAN, 1000, 9000, b"routed");
        let mut header = vec![17, 2, 0, segments_left, 0, 0, 0, 0];
        header.extend(LAN1.parse::<Ipv6Addr>().unwrap().octets());
        header.append(&mut packet.payload);
        packet.payload = header;
        packet.next_header = 43;
        packet
    };
    network.lan.raw(routed(1));
    network.counted("routing-header-dropped", 1);
    // Without segments left it is to be ignored (RFC 5095 section 3): the packet passes.
    let ear = network.wan.udp("[::]:9000");
    network.lan.raw(routed(0));
    assert_eq!(received(&ear), "routed");
    assert_eq!(network.count("routing-header-dropped"), 1);
}

#[test]
fn icmpv6_passes_as_rfc_4890_says() {
    let mut network = Network::guarded();
    for address in [
        "-6 -n -c 1 -W 5 2001:db8:f::2",
        "-6 -n -c 1 -W 5 2001:db8:1000::10",
        "-6 -n -c 1 -W 5 2001:db8:1000:1::10",
    ] {
        network.wan.program("ping", address);
    }

    // Packet Too Big about a packet that we sent changes the sender's route; about another it is dropped.
    let ear = network.wan.udp("[::]:9000");
    let sender = network.lan.udp("[2001:db8:1000::10]:1000");
    sender.send_to(b"big", (WAN.parse::<Ipv6Addr>().unwrap(), 9000)).unwrap();
    assert_eq!(received(&ear), "big");
    let _quiet = network.lan.udp("[2001:db8:1000::10]:1001");
    let too_big = |port: u16, mtu: u16| {
        let [high, low] = mtu.to_be_bytes();
        let mut message = vec![2, 0, 0, 0, 0, 0, high, low];
        message.extend(Packet::udp(LAN, WAN, port, 9000, b"big").bytes());
        Packet::icmpv6("2001:db8:f::77", LAN, message)
    };
    network.wan.raw(too_big(1001, 1290));
    network.counted("wan-invalid-dropped", 1);
    let route = |network: &Network| network.lan.program("ip", "-6 route get 2001:db8:f::1");
    network.wan.raw(too_big(1000, 1300));
    let start = Instant::now();
    while !route(&network).contains("mtu 1300") {
        assert!(start.elapsed() < PATIENCE, "{}", route(&network));
        thread::sleep(Duration::from_millis(5));
    }

    // A router advertisement that came from afar (hop limit), or from no link-local address.
    let advertisement = || vec![134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0];
    let before = network.count("wan-input-dropped");
    let local = network.wan.link_local("w0").to_string();
    network.wan.raw(Packet::icmpv6(&local, GATEWAY, advertisement()));
    network.wan.raw(Packet { hop_limit: 255, ..Packet::icmpv6(WAN, GATEWAY, advertisement()) });
    network.counted("wan-input-dropped", before + 2);
    network.wan.raw(Packet { hop_limit: 255, ..Packet::icmpv6(&local, GATEWAY, advertisement()) });
    // The same for a query of a multicast router.
    let query = || [vec![130, 0, 0, 0, 0, 0, 0, 0], vec![0; 16]].concat();
    network.wan.raw(Packet { hop_limit: 1, ..Packet::icmpv6(&local, GATEWAY, query()) });
    for _ in 0..2 {
        network.wan.raw(Packet { hop_limit: 2, ..Packet::icmpv6(&local, GATEWAY, query()) });
    }
    network.wan.raw(Packet { hop_limit: 1, ..Packet::icmpv6(WAN, GATEWAY, query()) });
    // What comes after them is dropped and counted; the good ones were not.
    network.wan.raw(Packet::udp(WAN, GATEWAY, 1, 1, b""));
    network.counted("wan-input-dropped", before + 6);
}

#[test]
fn echo_requests_to_the_gateway_are_limited() {
    let mut network = Network::guarded();
    // One flow: its state must not let a flood pass.
    for _ in 0..2000 {
        network.wan.raw(Packet::icmpv6(WAN, GATEWAY, vec![128, 0, 0, 0, 0, 1, 0, 1]));
    }
    let (start, mut answered, mut limited) = (Instant::now(), 0, 0);
    while answered + limited != 2000 {
        assert!(start.elapsed() < PATIENCE, "{answered} were answered, {limited} dropped");
        let text = network.gateway.run(|| output("cat", "/proc/thread-self/net/snmp6"));
        let line = text.lines().find(|line| line.starts_with("Icmp6InEchos ")).unwrap();
        answered = line.split_whitespace().last().unwrap().parse().unwrap();
        limited = network.count("wan-echo-limited");
    }
    assert!(limited >= 1000, "{limited}");
    assert_eq!(network.count("wan-input-dropped"), 0);
}

#[test]
fn segments_fit_the_uplink() {
    let network = Network::guarded();
    network.gateway.ip(&["link set wan0 mtu 1400"]);
    network.wan.greet(80);
    network.lan.run(|| {
        let stream = TcpStream::connect((WAN, 80)).unwrap();
        // What the server's SYN allows us: 1400 less the headers of IPv6 and TCP and the timestamps.
        assert_eq!(
            nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::TcpMaxSeg).unwrap(),
            1328
        );
    });
    network.wan.run(|| {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 81)).unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mss = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::TcpMaxSeg).unwrap();
            write!(&stream, "{mss}").unwrap();
        });
    });
    assert_eq!(network.lan.visit(WAN, 81), "1328");
}

#[test]
fn dhcpv6_answers_reach_the_client_from_the_link_alone() {
    let mut network = Network::guarded();
    let client = network.gateway.udp("[::]:546");
    let scope = network.wan.index("w0");
    let to = network.gateway.link_local("wan0").to_string();
    let from = network.wan.link_local("w0").to_string();
    let send = |source: &str, destination: &str, port: u16, text: &str| {
        let packet = Packet::udp(source, destination, port, 546, text.as_bytes());
        network.wan.raw(Packet { scope, ..packet });
    };
    send(&from, &to, 1000, "another port");
    send(WAN, &to, 547, "from afar");
    send(WAN, GATEWAY, 547, "from afar to a global address");
    send(&from, &to, 547, "reply");
    assert_eq!(received(&client), "reply");
    network.counted("wan-input-dropped", 3);
}

#[test]
fn ipsec_may_open_towards_a_lan() {
    let mut network = Network::guarded();
    let ear = network.lan.udp("[::]:500");
    network.wan.raw(Packet::udp(WAN, LAN, 500, 500, b"ike"));
    assert_eq!(received(&ear), "ike");
    assert_eq!(network.count("wan-forward-dropped"), 0);
    // To the gateway itself it may not.
    network.wan.raw(Packet::udp(WAN, GATEWAY, 500, 500, b"ike"));
    network.counted("wan-input-dropped", 1);
}

#[test]
fn unique_local_sources_stay_inside() {
    let mut network = Network::guarded();
    network.wan.greet(80);
    let visit = |network: &Network| {
        network.lan.run(|| {
            let result = Command::new("python3")
                .args([
                    "-c",
                    "import socket; s = socket.socket(socket.AF_INET6); s.settimeout(5)
s.bind(('fd00:1::10', 0)); s.connect(('2001:db8:f::1', 80)); print(s.recv(9))",
                ])
                .output()
                .unwrap();
            String::from_utf8_lossy(&[result.stdout, result.stderr].concat()).into_owned()
        })
    };
    // "Source address failed ingress/egress policy" is what Linux calls "permission denied".
    let seen = visit(&network);
    assert!(seen.contains("Permission denied"), "{seen}");
    assert!(network.count("ula-rejected") >= 1);
    // A provider that delegated a unique local prefix routes it.
    let mut config = config();
    config.delegated.push("fd00:1::/48".parse().unwrap());
    network.firewall.apply(&config).unwrap();
    let seen = visit(&network);
    assert!(seen.contains("hello"), "{seen}");
}

#[test]
fn counters_survive_what_changes() {
    let mut network = Network::guarded();
    let new = "2001:db8:2000::10";
    let forge = |network: &Network| network.lan.raw(Packet::udp(new, WAN, 1, 1, b""));
    forge(&network);
    network.counted("spoofed-lan0", 1);
    network.firewall.apply(&config()).unwrap();
    assert_eq!(network.count("spoofed-lan0"), 1);

    // The prefix changes, and lan1 goes: with it its counter.
    let mut changed = config();
    changed.lans = vec![lan("lan0", &["2001:db8:2000::/64"])];
    network.firewall.apply(&changed).unwrap();
    let names: Vec<String> = network.firewall.counters().unwrap().into_iter().map(|c| c.name).collect();
    assert!(!names.contains(&"spoofed-lan1".to_owned()), "{names:?}");
    let ear = network.wan.udp("[::]:1");
    forge(&network);
    received(&ear);
    network.lan.raw(Packet::udp(LAN, WAN, 1, 1, b""));
    network.counted("spoofed-lan0", 2);

    // A new program finds what the last one left.
    let mut firewall = network.gateway.run(Firewall::open).unwrap();
    firewall.apply(&changed).unwrap();
    network.firewall = firewall;
    assert_eq!(network.count("spoofed-lan0"), 2);
    // nft reads the same numbers.
    let seen = network.gateway.program("nft", "list counter inet sixgate spoofed-lan0");
    assert!(seen.contains("packets 2 bytes"), "{seen}");
}

#[test]
fn removal_leaves_nothing_of_ours_and_all_of_others() {
    let mut network = Network::guarded();
    assert!(network.gateway.ruleset().contains("table inet sixgate"));
    network.firewall.verify().unwrap();
    network.firewall.remove().unwrap();
    assert_eq!(network.gateway.ruleset(), "");
    network.firewall.remove().unwrap();
    assert_eq!(network.firewall.counters().unwrap(), vec![]);
    assert!(matches!(network.firewall.verify(), Err(Error::Gone { .. })));

    network.gateway.program("nft", "add table inet users");
    network.gateway.program("nft", "add chain inet users input { type filter hook input priority 0 ; }");
    let theirs = network.gateway.ruleset();
    network.firewall.apply(&config()).unwrap();
    network.firewall.remove().unwrap();
    assert_eq!(network.gateway.ruleset(), theirs);
}

#[test]
fn what_others_break_is_seen_and_mended() {
    let mut network = Network::guarded();
    let whole = network.gateway.ruleset();
    for (damage, what) in [
        ("flush chain inet sixgate wan-input", "rule"),
        ("delete chain inet sixgate input", "input"),
        ("flush ruleset", "table"),
    ] {
        // A chain in use is deleted only when it is empty.
        if damage.starts_with("delete chain") {
            network.gateway.program("nft", "flush chain inet sixgate input");
        }
        network.gateway.program("nft", damage);
        let error = network.firewall.verify().unwrap_err();
        assert!(matches!(&error, Error::Gone { what: gone } if gone.contains(what)), "{error}");
        network.firewall.apply(&config()).unwrap();
        network.firewall.verify().unwrap();
    }
    assert_eq!(network.gateway.ruleset(), whole);

    // The table of some other version is replaced whole.
    network.firewall.remove().unwrap();
    network.gateway.program("nft", "add table inet sixgate");
    network.gateway.program("nft", "add chain inet sixgate old { type filter hook input priority 5 ; }");
    network.gateway.program("nft", "add rule inet sixgate old drop");
    network.firewall.apply(&config()).unwrap();
    assert_eq!(network.gateway.ruleset(), whole);
}

#[test]
fn many_prefixes_fit_into_one_batch() {
    let mut network = Network::new();
    let prefixes = (0..2000_u16).map(|i| {
        let network = Ipv6Addr::new(0x2001, 0xdb8, i * 2, 0, 0, 0, 0, 0);
        ipnet::Ipv6Net::new(network, 48).unwrap()
    });
    let mut many = config();
    many.lans[0].prefixes.extend(prefixes);
    network.firewall.apply(&many).unwrap();
    network.firewall.verify().unwrap();
    network.firewall.apply(&config()).unwrap();
    network.firewall.verify().unwrap();
}

#[test]
fn impossible_interfaces_are_refused() {
    let mut network = Network::new();
    for name in ["", "sixteen-bytes-xy", "a b", "a/b", "wan0"] {
        let mut config = config();
        config.lans.push(lan(name, &[]));
        let error = network.firewall.apply(&config).unwrap_err();
        assert!(matches!(&error, Error::Interface { name: found, .. } if found == name), "{error}");
    }
    assert_eq!(network.gateway.ruleset(), "");
}

#[test]
fn without_the_right_it_says_what_is_missing() {
    // Nobody's process: this test binary again, copied to where nobody may read it.
    let folder = std::env::temp_dir().join(format!("sixgate-nft-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("as-nobody");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Host::new().run(move || {
        let mut command = Command::new(&program);
        command.args(["--exact", "apply_here", "--ignored", "--nocapture"]).current_dir("/");
        let output = command.uid(65534).gid(65534).output();
        std::fs::remove_dir_all(&folder).unwrap();
        output.unwrap()
    });
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("not permitted; it needs CAP_NET_ADMIN or root"), "{text}");
}

/// Not a test by itself: the part of [`without_the_right_it_says_what_is_missing`] that runs as another user.
#[test]
#[ignore = "run by another test, in a namespace and without rights"]
fn apply_here() {
    // Never as root: it would be the machine's own firewall.
    if !Uid::effective().is_root() {
        println!("{}", Firewall::open().and_then(|mut firewall| firewall.apply(&config())).unwrap_err());
    }
}
