//! Whether each family reaches the world, in worlds of a lab.
#![cfg(feature = "net")]
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::listen::{Listen, Policy};
use sixgate_endpoint::nat64::{self, Prefix};
use sixgate_endpoint::online::{Check, Online, State, is_online};
use sixgate_endpoint::resolve::{Resolve, ResolveError, SystemResolver};
use sixgate_endpoint::{Endpoint, Family, Host as Peer};
use sixgate_lab::{Command, Host, Lab, Link, Transport, root_for_tests, wait_for};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn sh(host: &Host, script: &str) -> String {
    let process = host.spawn(&Command::new("sh").args(["-ec", script])).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{script}: {}", process.output());
    process.output()
}

/// A client on a link with the world: a router that is also every server, and its resolver.
struct World {
    client: Host,
    far: Host,
    _lab: Lab,
}

const V4: &str = "ip address add 192.0.2.2/24 dev eth0; ip route add default via 192.0.2.1";
const V6: &str = "ip address add 2001:db8::2/64 dev eth0 nodad; ip route add default via 2001:db8::1";

/// `client` gives the client its addresses and routes; the resolver, reached over loopback, has these options
/// besides its names.
fn world(name: &str, client_setup: &str, options: &[&str]) -> World {
    root_for_tests().unwrap();
    let lab = Lab::new(name).unwrap();
    let (client, world) = (lab.host("client").unwrap(), lab.host("world").unwrap());
    lab.link(Link::between((&client, "eth0"), (&world, "eth0"))).unwrap();
    sh(&world, "ip address add 192.0.2.1/24 dev eth0; ip address add 2001:db8::1/64 dev eth0 nodad");
    // The servers: one of both families, one of IPv4, and what NAT64 makes of the latter.
    for address in ["198.51.100.80/32", "198.51.100.4/32", "2001:db8:80::80/128", "64:ff9b::198.51.100.4/128"]
    {
        sh(&world, &format!("ip address add {address} dev lo"));
    }
    sh(&world, "ip route add 192.0.0.0/29 via 192.0.2.2");
    if !client_setup.is_empty() {
        sh(&client, client_setup);
    }
    client.write_file("/etc/resolv.conf", "nameserver ::1\noptions timeout:1 attempts:1\n").unwrap();
    let fixed = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--log-facility=-",
        "--user=root",
        "--pid-file=",
        "--port=53",
        "--listen-address=::1",
        "--bind-interfaces",
        "--local=/example/",
        "--local=/arpa/",
        "--host-record=both.example,198.51.100.80,2001:db8:80::80",
        "--host-record=four.example,198.51.100.4",
        "--host-record=dead.example,198.51.100.99,2001:db8:80::99",
    ];
    let dnsmasq = client.spawn(&Command::new("dnsmasq").args(fixed).args(options)).unwrap();
    wait_for("dnsmasq listens", PATIENCE, || {
        assert!(dnsmasq.status().is_none(), "{}", dnsmasq.output());
        client.listening(Transport::Udp, 53)
    })
    .unwrap();
    // Peers are accepted by the kernel; that is answer enough.
    let listeners = world.run(|| Listen::on(Policy::Both, 443).tcp()).unwrap();
    std::mem::forget(listeners);
    World { client, far: world, _lab: lab }
}

impl World {
    fn check(&self, probes: &[&str]) -> Online {
        let check =
            probes.iter().fold(Check::new(), |check, probe| check.probe(probe.parse::<Peer>().unwrap()));
        // The check starts threads, which stay in the client's network.
        self.client.run(|| check.run())
    }
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn routed(source: &str) -> State {
    State::Routed { source: endpoint(source) }
}

fn reached(peer: &str) -> State {
    State::Reached { peer: endpoint(peer) }
}

#[test]
fn dual_stack() {
    let world = world("dual", &format!("{V4}; {V6}"), &[]);
    let online = world.check(&[]);
    assert_eq!((&online.v6, &online.v4), (&routed("2001:db8::2"), &routed("192.0.2.2")));
    assert!(online.any() && world.client.run(is_online));
    let online = world.check(&["both.example"]);
    assert_eq!((online.v6, online.v4), (reached("[2001:db8:80::80]:443"), reached("198.51.100.80:443")));
    // A name of one family says nothing about the other.
    let online = world.check(&["four.example"]);
    assert_eq!((online.v6, online.v4), (routed("2001:db8::2"), reached("198.51.100.4:443")));
    // Another port, where nobody listens.
    let online = world.check(&["both.example:444"]);
    assert!(!online.any(), "{online}");
    assert!(
        online.v6.to_string().contains("[2001:db8:80::80]:444 does not answer: Connection refused"),
        "{online}"
    );
    // A dead name does not hide a living one.
    assert_eq!(world.check(&["dead.example", "both.example"]).v6, reached("[2001:db8:80::80]:443"));
    let online = world.check(&["nobody.example"]);
    assert!(!online.any() && online.to_string().contains("no such name"), "{online}");
    // What is connected with is the caller's.
    let check = Check::new().probe("both.example".parse().unwrap()).connect_with(|to, _| {
        let six = to.address().is_ipv6();
        if six { Ok(()) } else { Err(std::io::Error::other("the proxy says no")) }
    });
    let online = world.client.run(|| check.run());
    assert!(online.v6.is_usable() && online.v4.to_string().contains("the proxy says no"), "{online}");
}

#[test]
fn ipv4_alone() {
    let world = world("v4only", V4, &[]);
    for probes in [&[][..], &["both.example"]] {
        let online = world.check(probes);
        assert!(
            matches!(&online.v6, State::None { reason } if reason == "no route to the world"),
            "{online}"
        );
        assert!(online.v4.is_usable() && online.any(), "{online}");
    }
    assert!(world.client.run(is_online));
}

#[test]
fn ipv6_alone() {
    let world = world("v6only", V6, &[]);
    for probes in [&[][..], &["both.example"]] {
        let online = world.check(probes);
        assert!(online.v6.is_usable() && online.any(), "{online}");
        assert_eq!(
            online.v4.to_string(),
            "does not work: no route to the world, and no NAT64 in this network (RFC 7050)"
        );
    }
    assert!(world.client.run(is_online));
    // An IPv4 literal is no test of anything here.
    let online = world.check(&["198.51.100.4"]);
    assert_eq!(online.v6, routed("2001:db8::2"));
    assert!(online.any());
}

#[test]
fn ipv6_alone_with_nat64() {
    let options = [
        "--address=/ipv4only.arpa/64:ff9b::c000:aa",
        "--address=/ipv4only.arpa/64:ff9b::c000:ab",
        "--host-record=four64.example,64:ff9b::198.51.100.4",
    ];
    let world = world("nat64", V6, &options);
    assert_eq!(world.client.run(|| nat64::discover(&SystemResolver)).unwrap(), [Prefix::WELL_KNOWN]);
    let through = |peer: Option<&str>| State::Nat64 { prefix: Prefix::WELL_KNOWN, peer: peer.map(endpoint) };
    let online = world.check(&[]);
    assert_eq!((&online.v6, &online.v4), (&routed("2001:db8::2"), &through(None)));
    // A server of IPv4 alone, through the translator.
    let online = world.check(&["four.example"]);
    assert_eq!(online.v4, through(Some("[64:ff9b::198.51.100.4]:443")));
    assert_eq!(online.v6, routed("2001:db8::2"));
    // DNS64's AAAA record is no IPv6 of that server.
    assert_eq!(world.check(&["four64.example"]).v6, routed("2001:db8::2"));
    // A literal is not tried, and does not make it offline.
    let online = world.check(&["198.51.100.4"]);
    assert_eq!((online.v6, online.v4), (routed("2001:db8::2"), through(None)));
}

/// A prefix of the network's own, which no address gives away.
#[test]
fn dns64_with_a_prefix_of_the_network_is_no_ipv6_of_the_server() {
    let options = [
        "--address=/ipv4only.arpa/2001:db8:64::c000:aa",
        "--address=/ipv4only.arpa/2001:db8:64::c000:ab",
        "--host-record=four64.example,2001:db8:64::198.51.100.4",
    ];
    let world = world("ownnat64", V6, &options);
    sh(&world.far, "ip address add 2001:db8:64::198.51.100.4/128 dev lo");
    let online = world.check(&["four64.example", "four.example"]);
    let prefix = Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap();
    let peer = Some(endpoint("[2001:db8:64::198.51.100.4]:443"));
    assert_eq!((online.v6, online.v4), (routed("2001:db8::2"), State::Nat64 { prefix, peer }));
    // A name with an address of its own beside it is asked then.
    let online = world.check(&["four64.example", "both.example"]);
    assert_eq!(online.v6, reached("[2001:db8:80::80]:443"));
}

#[test]
fn one_well_known_address_is_no_prefix() {
    let world = world("spoofed", V6, &["--address=/ipv4only.arpa/64:ff9b::c000:aa"]);
    assert_eq!(world.client.run(|| nat64::discover(&SystemResolver)).unwrap(), []);
    assert!(!world.check(&[]).v4.is_usable());
}

#[test]
fn a_clat_is_told_from_native_ipv4() {
    let setup = format!(
        "{V6}; ip address add 192.0.0.2/32 dev lo; ip address add 192.0.2.2/24 dev eth0;
        ip route add default via 192.0.2.1 src 192.0.0.2"
    );
    let world = world("clat", &setup, &[]);
    let online = world.check(&[]);
    assert_eq!(online.v4, State::Clat { source: endpoint("192.0.0.2"), peer: None });
    let online = world.check(&["four.example"]);
    assert_eq!(
        online.v4,
        State::Clat { source: endpoint("192.0.0.2"), peer: Some(endpoint("198.51.100.4:443")) }
    );
}

#[test]
fn broken_ipv6_is_told_and_does_not_make_it_offline() {
    let world = world("broken", &format!("{V4}; {V6}"), &[]);
    // It swallows all.
    sh(
        &world.far,
        "nft add table ip6 t
        nft 'add chain ip6 t c { type filter hook input priority 0; }'
        nft add rule ip6 t c tcp dport 443 drop",
    );
    let begin = Instant::now();
    let online = world.check(&["both.example"]);
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(online.v4, reached("198.51.100.80:443"));
    assert!(matches!(&online.v6, State::Unanswered { .. }), "{online}");
    assert!(online.any());
    assert!(online.to_string().starts_with("IPv6 has a route, but does not work: "), "{online}");
    // Routes that refuse.
    for (route, words) in
        [("unreachable", "`unreachable`"), ("prohibit", "`prohibit`"), ("blackhole", "`blackhole`")]
    {
        sh(&world.client, &format!("ip -6 route del default; ip -6 route add {route} default"));
        let online = world.check(&["both.example"]);
        assert!(matches!(&online.v6, State::None { reason } if reason.contains(words)), "{route}: {online}");
    }
    // Addresses that the world cannot answer.
    sh(
        &world.client,
        "ip -6 address flush dev eth0; ip address add fd00::2/64 dev eth0 nodad
         ip -6 route del default || true
         ip -6 route add default dev eth0",
    );
    let online = world.check(&[]);
    assert!(online.v6.to_string().contains("fd00::2, which is unique local"), "{online}");
    // Nothing at all.
    sh(&world.client, "ip link set eth0 down");
    let online = world.check(&["both.example"]);
    assert!(!online.any() && !world.client.run(is_online), "{online}");
}

/// Does not answer for a name, and leaves the others to the system.
struct Mute(&'static str);
impl Resolve for Mute {
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        while name.contains(self.0) {
            std::thread::park();
        }
        SystemResolver.resolve(name, family)
    }
}

#[test]
fn a_resolver_that_does_not_answer_does_not_hold_up() {
    let world = world("mute", V6, &[]);
    let check = Check::new()
        .resolver(Mute(""))
        .probe("both.example".parse().unwrap())
        .timeout(Duration::from_millis(300));
    let begin = Instant::now();
    let online = world.client.run(|| check.run());
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert!(!online.any());
    assert!(online.v6.to_string().contains("no answer in time"), "{online}");
    assert!(online.v4.to_string().contains("does not say in time whether there is NAT64"), "{online}");
    // Where it does not answer for NAT64 alone, the family works all the same.
    let check = Check::new()
        .resolver(Mute("ipv4only"))
        .probe("both.example".parse().unwrap())
        .timeout(Duration::from_secs(1));
    assert_eq!(world.client.run(|| check.run()).v6, reached("[2001:db8:80::80]:443"));
}
