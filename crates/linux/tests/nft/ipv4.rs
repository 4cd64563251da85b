//! IPv4 of the LANs, and an address on which the machine is silent.

use std::io::ErrorKind;

use sixgate_linux::nft::{FirewallConfig, LanIpv4, Silence};

use super::network::{GATEWAY, Network, PATIENCE, config};

const WAN: &str = "192.0.2.1";
const LAN: &str = "192.168.7.10";

/// A network with IPv4 on the WAN and on one LAN.
fn dual() -> Network {
    let network = Network::new();
    network.gateway.ip(&["addr add 192.168.7.1/24 dev lan0"]);
    network.gateway.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    network.lan.ip(&["addr add 192.168.7.10/24 dev l0", "route add default via 192.168.7.1"]);
    // The WAN knows the way in, though it should not.
    network.wan.ip(&["route add 192.168.7.0/24 via 192.0.2.2"]);
    network
}

fn managed(mode: LanIpv4) -> FirewallConfig {
    let mut config = FirewallConfig { lan_ipv4: mode, ..config() };
    config.lans[0].prefixes_v4 = vec!["192.168.7.0/24".parse().unwrap()];
    config
}

#[test]
fn ipv4_of_a_lan_leaves_with_the_uplinks_address_or_not_at_all() {
    let mut network = dual();
    network.wan.greet(80);
    network.lan.greet(80);
    network.gateway.greet(80);
    // Left alone, it passes as the kernel has it; and from outside comes nothing, as of IPv6.
    network.firewall.apply(&config()).unwrap();
    assert_eq!(network.lan.visit(WAN, 80), "hello");
    network.wan.hears_nothing(LAN, 80);

    network.firewall.apply(&managed(LanIpv4::Masqueraded)).unwrap();
    network.firewall.verify().unwrap();
    let listed = network.gateway.ruleset();
    for rule in [
        "ip saddr 192.168.7.0/24 masquerade comment \"NAT44\"",
        "iifname \"wan0\" meta nfproto ipv4 tcp flags",
        "iifname \"lan1\" ip saddr 0.0.0.0 udp dport 67 accept",
    ] {
        assert!(listed.contains(rule), "{rule} in {listed}");
    }
    // The WAN has no way back but to the gateway.
    network.wan.ip(&["route del 192.168.7.0/24"]);
    assert_eq!(network.lan.visit(WAN, 80), "hello");
    network.wan.ip(&["route add 192.168.7.0/24 via 192.0.2.2"]);
    network.wan.hears_nothing(LAN, 80);
    network.wan.hears_nothing("192.168.7.1", 80);
    assert_eq!(network.lan.visit("192.168.7.1", 80), "hello");

    network.firewall.apply(&managed(LanIpv4::Inside)).unwrap();
    let told = network.lan.connect(WAN, 80, PATIENCE).map(drop).map_err(|error| error.kind());
    assert_eq!(told, Err(ErrorKind::HostUnreachable));
    assert_eq!(network.count("ipv4-kept"), 1);
    network.wan.hears_nothing(LAN, 80);
    assert_eq!(network.lan.visit("192.168.7.1", 80), "hello");
    // What the gateway itself sends is its own affair.
    assert_eq!(network.gateway.visit(WAN, 80), "hello");

    // A source that is not the LAN's.
    network
        .lan
        .ip(&["addr add 203.0.113.9/32 dev l0", "route replace default via 192.168.7.1 src 203.0.113.9"]);
    let before = network.count("spoofed-lan0");
    network.lan.hears_nothing(WAN, 80);
    assert!(network.count("spoofed-lan0") > before);
}

/// Of an address with another owner, the kernel does neighbour discovery alone; and it is the kernel's own again when the owner goes.
#[test]
fn the_machine_is_silent_on_an_address() {
    let network = Network::new();
    network.gateway.greet(22);
    let address = "2001:db8:f::c1a7";
    network.gateway.ip(&["addr add 2001:db8:f::c1a7/128 dev wan0"]);
    assert_eq!(network.wan.visit(address, 22), "hello");
    let silence =
        network.gateway.run(move || Silence::new("quiet", "wan0", address.parse().unwrap()).unwrap());
    network.wan.ip(&["-6 neigh flush dev w0"]);
    network.wan.hears_nothing(address, 22);
    let neighbours = network.wan.program("ip", "-6 neigh show 2001:db8:f::c1a7");
    assert!(neighbours.contains("REACHABLE"), "{neighbours}");
    assert_eq!(network.wan.visit(GATEWAY, 22), "hello", "its other addresses");
    // Nobody else takes the table away, and nobody makes it twice.
    network.gateway.program("nft", "flush ruleset");
    assert!(
        network.gateway.ruleset().contains("not for the machine itself"),
        "{}",
        network.gateway.ruleset()
    );
    let twice = network.gateway.run(move || Silence::new("quiet", "wan0", address.parse().unwrap()));
    assert!(twice.unwrap_err().to_string().contains("cannot add the table quiet"));
    drop(silence);
    assert_eq!(network.gateway.ruleset(), "");
    assert_eq!(network.wan.visit(address, 22), "hello");
}
