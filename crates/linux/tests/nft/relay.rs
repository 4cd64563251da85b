//! What the firewall knows of a relay agent: servers beyond the uplink, and prefixes delegated to routers on
//! a LAN.

use crate::network::{GATEWAY, LAN, Network, Packet, WAN, config};
use crate::received;
use sixgate_linux::nft::RelayRules;

#[test]
fn servers_reach_the_relay_agents_port_and_nobody_else_does() {
    let mut network = Network::new();
    let mut rules = config();
    rules.relay = Some(RelayRules { port: 5547, servers: vec!["2001:db8:f::547/128".parse().unwrap()] });
    network.firewall.apply(&rules).unwrap();
    network.firewall.verify().unwrap();
    let (relay, other) = (network.gateway.udp("[::]:5547"), network.gateway.udp("[::]:547"));
    let send = |source: &str, port: u16, text: &str| {
        network.wan.raw(Packet::udp(source, GATEWAY, 547, port, text.as_bytes()));
    };
    send(WAN, 5547, "no server");
    send("2001:db8:f::547", 547, "another port");
    send("2001:db8:f::547", 5547, "a server");
    // Packets keep their order on a veth: if another had passed, it would come first.
    assert_eq!(received(&relay), "a server");
    network.counted("wan-input-dropped", 2);
    // A group is anybody.
    rules.relay = Some(RelayRules { port: 547, servers: vec!["::/0".parse().unwrap()] });
    network.firewall.apply(&rules).unwrap();
    network.wan.raw(Packet::udp(WAN, GATEWAY, 547, 547, b"one of a group"));
    assert_eq!(received(&other), "one of a group");
}

/// RFC 8987 section 4.2 R-5. The router on the LAN sends back what it has no use for, by its default route.
#[test]
fn what_comes_back_from_where_it_would_be_sent_stops() {
    let mut network = Network::new();
    let mut rules = config();
    rules.lans[0].delegated = vec!["2001:db8:1000:8::/61".parse().unwrap()];
    network.firewall.apply(&rules).unwrap();
    network.firewall.verify().unwrap();
    network.gateway.ip(&["-6 route add 2001:db8:1000:8::/61 via 2001:db8:1000::10 dev lan0"]);
    network.lan.ip(&["addr add 2001:db8:1000:a::1/128 dev lo nodad"]);
    let ear = network.lan.udp("[2001:db8:1000:a::1]:9000");
    let first_hop = "2001:db8:1000::1".parse().unwrap();
    let looping = Packet::udp("2001:db8:1000:9::9", "2001:db8:1000:a::1", 1, 9000, b"around");
    network.lan.raw(Packet { first_hop, ..looping });
    network.counted("looped", 1);
    // From anywhere else it is what the route is for.
    network.lan1.raw(Packet::udp("2001:db8:1000:1::10", "2001:db8:1000:a::1", 1, 9000, b"from a LAN"));
    assert_eq!(received(&ear), "from a LAN");
    network.lan.raw(Packet { first_hop, ..Packet::udp(LAN, "2001:db8:1000:a::1", 1, 9000, b"of the link") });
    assert_eq!(received(&ear), "of the link");
    network.counted("looped", 1);
}
