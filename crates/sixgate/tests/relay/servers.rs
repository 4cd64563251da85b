//! The relay agent before stock servers, behind a stock relay agent, and what each is told of clients.

use crate::network::*;
use crate::world::*;
use sixgate_lab::{Capture, Command, Host, Link, Process};
use std::fmt::Write as _;

/// Starts dhclient on a host and leaves it running.
fn dhclient(host: &Host) -> Process {
    host.wait_link_local("eth0", PATIENCE).unwrap();
    host.write_file("/run/dhclient.conf", "").unwrap();
    host.write_file("/run/dhclient.leases", "").unwrap();
    let files = ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
    run(host, "dhclient", &[&["-6", "-N", "-P", "-v", "-d"][..], &files, &["eth0"]].concat())
}

/// An option as it stands in a packet, in hexadecimal.
fn option(code: u16, content: &[u8]) -> String {
    let mut text = format!("{code:04x}{:04x}", content.len());
    for octet in content {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Kea finds a host's reservation by the Ethernet address in option 79: the frame's, which nothing else in
/// the packet shows.
#[test]
fn kea_knows_a_client_by_its_ethernet_address() {
    let everything = "interface-id = \"line 7\"\nremote-id = \"0x00ff\"\nsubscriber-id = \"customer 9\"\n\
                      [relay-agent]\nclient-link-layer = true\nenterprise = 32473\ntell-duid = true\n";
    let mut world = World::new("r-reserved", &config(everything));
    // Neither the link-local address nor the DUID comes from it.
    output(&world.alice, "ip", &["link", "set", "eth0", "address", "02:00:5e:10:00:07"]);
    kea(
        &world.server,
        r#""reservations": [ { "hw-address": "02:00:5e:10:00:07", "ip-addresses": [ "2001:db8:1::77" ],
            "prefixes": [ "2001:db8:1ff::/56" ] } ],"#,
        r#""mac-sources": [ "client-link-addr-option" ], "host-reservation-identifiers": [ "hw-address" ],"#,
    );
    world.start();
    dhclient(&world.alice);
    let held = world.wait_held();
    assert_eq!(
        (held.address.to_string(), held.prefix.to_string()),
        ("2001:db8:1::77".into(), "2001:db8:1ff::/56".into())
    );
    world.assert_reached(world.route_downstream(&held));
    let duid = world.relay().status()["duid"].as_str().unwrap().replace(':', "");
    let link_layer = [0, 1, 2, 0, 0x5e, 0x10, 0, 7];
    for forward in world.forwards() {
        for told in [
            option(18, b"line 7"),
            option(37, &[0, 0, 0x7e, 0xd9, 0, 0xff]),
            option(38, b"customer 9"),
            option(79, &link_layer),
            format!("0035{:04x}{duid}", duid.len() / 2),
        ] {
            assert_eq!(forward.matches(&told).count(), 1, "{told} in {forward}");
        }
    }
    assert_eq!(world.counter("link-layer-unknown"), 0);
    // As another dissector has them.
    let told =
        world.told(&["dhcpv6.subscriber_id", "dhcpv6.remoteid.enterprise", "dhcpv6.remoteid_enterprise_id"]);
    assert!(told.iter().all(|fields| fields.iter().any(|field| field.contains("32473"))), "{told:?}");
    world.end();
}

/// Nothing is told that was not asked for.
#[test]
fn by_default_a_server_is_told_the_link_and_nothing_more() {
    let mut world = World::new("r-plain", &config(""));
    kea(&world.server, "", "");
    world.start();
    dhclient(&world.alice);
    let held = world.wait_held();
    for forward in world.forwards() {
        // Type, hops, addresses, and then at once the message.
        assert_eq!(&forward[68..72], "0009", "{forward}");
    }
    // RFC 8987 section 4.4 O-2: an operator takes the route away; the next Renew brings it back.
    output(&world.gw, SIXGATE, &["lease", "release", &held.prefix.to_string()]);
    assert!(world.delegations().is_empty() && !world.routes().contains(&held.prefix.to_string()));
    assert_eq!(world.wait_held(), held);
    // What clients send to their group comes to the LAN's socket alone.
    assert_eq!(world.counter("from-servers"), world.counter("delivered"));
    assert_eq!(world.counter("discarded-forged"), 0);
    world.end();
}

/// From a port of its own, to two servers, of which one is not there; Kea answers to that port (RFC 8357).
#[test]
fn another_port_and_a_server_that_is_not_there() {
    let servers = config("[relay-agent]\nport = 5547\n")
        .replace("relay = [", "relay = [\"2001:db8:0:1::99\", \"ff05::1:3%wan0\", ");
    let mut world = World::new("r-port", &servers);
    kea(&world.server, "", "");
    world.start();
    dhclient(&world.alice);
    let held = world.wait_held();
    world.assert_reached(world.route_downstream(&held));
    let told = world.told(&["udp.srcport", "udp.dstport", "dhcpv6.relay_port", "ipv6.dst", "ipv6.hlim"]);
    let to = |server: &str| told.iter().filter(|fields| fields[3] == server).collect::<Vec<_>>();
    assert!(to(SERVER).iter().all(|fields| fields[..3] == ["5547", "547", "0"]), "{told:?}");
    // RFC 9915 section 19: groups are reached within eight hops.
    assert!(!to("ff05::1:3").is_empty() && to("ff05::1:3").iter().all(|fields| fields[4] == "8"), "{told:?}");
    let answers = world.wan.fields("dhcpv6.msgtype == 13", &["udp.dstport"]).unwrap();
    assert!(!answers.is_empty() && answers.iter().all(|fields| fields[0] == "5547"), "{answers:?}");
    world.end();
}

#[test]
fn dibbler_as_server() {
    let mut world = World::new("r-dibbler-srv", &config("interface-id = \"0x00000007\"\n"));
    // It knows relayed clients by the interface-id, a number.
    let conf = format!(
        "log-mode short\nlog-level 7\niface net0 {{\n unicast {SERVER}\n class {{\n pool 2001:db8:0:1::1000-2001:db8:0:1::1fff\n }}\n}}\n\
         iface relay1 {{\n relay net0\n interface-id 7\n T1 5\n T2 40\n prefered-lifetime 50\n valid-lifetime 60\n class {{\n pool 2001:db8:1::1000-2001:db8:1::1fff\n }}\n \
         pd-class {{\n pd-pool 2001:db8:100::/40\n pd-length 56\n T1 5\n T2 40\n }}\n}}\n"
    );
    // It takes its configuration from there, whatever it is told.
    let start = "mkdir -p /run/d/etc /run/d/lib && mount -t tmpfs tmpfs /etc/dibbler && mount -t tmpfs tmpfs /var/lib/dibbler && \
                 cp /run/server.conf /etc/dibbler/server.conf && exec dibbler-server run";
    world.server.write_file("/run/server.conf", conf).unwrap();
    world.server.wait_link_local("net0", PATIENCE).unwrap();
    run(&world.server, "unshare", &["-m", "sh", "-c", start]);
    world.wait("dibbler-server on port 547", || {
        world.server.listening(sixgate_lab::Transport::Udp, 547).then_some(())
    });
    world.start();
    dhclient(&world.alice);
    let held = world.wait_held();
    world.assert_reached(world.route_downstream(&held));
    world.end();
}

/// It delegates no prefixes.
#[test]
fn dnsmasq_as_server() {
    let mut world = World::new("r-dnsmasq", &config(""));
    let range = "--dhcp-range=2001:db8:1::1000,2001:db8:1::1fff,64,2m";
    let arguments = [
        "-k",
        "-d",
        "-p",
        "0",
        "-C",
        "/dev/null",
        "--log-dhcp",
        range,
        "--dhcp-leasefile=/run/dnsmasq.leases",
    ];
    run(&world.server, "dnsmasq", &arguments);
    world.wait("dnsmasq on port 547", || {
        world.server.listening(sixgate_lab::Transport::Udp, 547).then_some(())
    });
    world.start();
    dhclient(&world.alice);
    let address = wait_in(&world.alice, "eth0", LAN.parse().unwrap());
    world.assert_reached(address);
    world.end();
}

/// A relay agent before ours: its clients are elsewhere, and what it says of them stands.
///
/// ```text
/// server ---- wan0 gw lan0 ---- eth0 alice eth1 ---- eth0 carol
/// ```
/// Alice relays with dnsmasq, Carol asks.
#[test]
fn a_relay_agent_before_ours() {
    let mut world = World::new("r-nested", &config("relay-from = [\"2001:db8:1::a\"]\n"));
    kea(&world.server, "", r#""shared-networks": [],"#);
    world.start();
    let (alice, carol) = (&world.alice, &world.carol);
    alice.set_accept_ra("eth0", sixgate_lab::AcceptRa::Always).unwrap();
    alice.set_forwarding(true).unwrap();
    alice.add_address_nodad("eth0", net("2001:db8:1::a/64")).unwrap();
    // Where carol is, in the eyes of dnsmasq and of Kea.
    alice.add_address_nodad("eth1", net("2001:db8:1:0:1::1/64")).unwrap();
    let seen: Capture = alice.capture("eth1").unwrap();
    let relay = format!("--dhcp-relay=2001:db8:1:0:1::1,{ON_LAN}");
    run(alice, "dnsmasq", &["-k", "-d", "-p", "0", "-C", "/dev/null", "--log-dhcp", &relay]);
    world.wait("dnsmasq on port 547", || alice.listening(sixgate_lab::Transport::Udp, 547).then_some(()));
    dhclient(carol);
    wait_in(carol, "eth0", LAN.parse().unwrap());
    let told = world.wan.fields("dhcpv6.msgtype == 12", &["dhcpv6.hopcount", "dhcpv6.linkaddr"]).unwrap();
    assert!(told.iter().all(|fields| fields[0] == "1,0" && fields[1].starts_with("::,")), "{told:?}");
    assert!(world.counter("delivered-nested") >= 2 && world.counter("forwarded-nested") >= 2);
    // The route to her prefix is the first relay agent's trade.
    assert!(world.delegations().is_empty());
    assert!(!seen.fields("dhcpv6.msgtype == 7", &["dhcpv6.xid"]).unwrap().is_empty());
    world.end();
}

/// Many clients at once: all of perfdhcp's exchanges come through.
#[test]
fn perfdhcp_through_the_relay_agent() {
    let more = "[relay-agent]\nrate = 100000\nprefixes-per-lan = 50\n";
    let mut world = World::new("r-perf", &config(more));
    kea(&world.server, "", "");
    world.start();
    world.alice.wait_link_local("eth0", PATIENCE).unwrap();
    let arguments = [
        "-6",
        "-l",
        "eth0",
        "-r",
        "100",
        "-R",
        "400",
        "-n",
        "400",
        "-e",
        "address-and-prefix",
        "-W",
        "2000000",
    ];
    let perfdhcp = world.alice.spawn(&Command::new("perfdhcp").args(arguments)).unwrap();
    perfdhcp.wait(PATIENCE).unwrap();
    let said = perfdhcp.output();
    assert_eq!(said.matches("received packets: 400").count(), 2, "both exchanges of each: {said}");
    // Each client's prefix has a route, as far as the LAN may have them.
    assert_eq!(world.delegations().len(), 50);
    assert_eq!((world.counter("prefixes-routed"), world.counter("prefixes-capped")), (50, 350));
    let problems = world.relay().status()["problems"].to_string();
    assert!(problems.contains("prefixes-per-lan"), "{problems}");
    world.end();
}

/// On an uplink whose default is to deny: what servers begin passes, and nobody else's.
#[test]
fn the_firewall_lets_servers_in_and_nobody_else() {
    let uplink = "[uplink]\ninterface = \"wan0\"\naddress = false\nprefix = false\n";
    let mut world = World::new("r-wall", &format!("{uplink}{}", config("")));
    world.start();
    let other = world.lab.host("other").unwrap();
    world.lab.link(Link::between((&world.server, "net1"), (&other, "eth0"))).unwrap();
    other.add_address_nodad("eth0", net("2001:db8:2::9/64")).unwrap();
    world.server.add_address_nodad("net1", net("2001:db8:2::1/64")).unwrap();
    other.add_route(net("::/0"), Some("2001:db8:2::1".parse().unwrap()), "eth0").unwrap();
    let alice = world.alice.wait_link_local("eth0", PATIENCE).unwrap();
    // A Relay-reply that nobody asked for, with a Reconfigure in it.
    let send = |host: &Host, from: &str| {
        let script = format!(
            "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('{from}', 547)); \
             a = lambda t: socket.inet_pton(socket.AF_INET6, t); \
             s.sendto(bytes([13, 0]) + a('{ON_LAN}') + a('{alice}') + bytes([0, 9, 0, 4, 10, 1, 2, 3]), ('{UPLINK}', 547))"
        );
        output(host, "python3", &["-c", &script]);
    };
    let dropped = || world.relay().status()["firewall"]["wan-input-dropped"]["packets"].as_u64().unwrap();
    let before = dropped();
    send(&other, "2001:db8:2::9");
    world.wait("the firewall's count", || (dropped() > before).then_some(()));
    assert_eq!((world.counter("from-servers"), world.counter("delivered")), (0, 0));
    send(&world.server, SERVER);
    world.wait_counter("delivered", 1);
    world.lan.wait_fields("dhcpv6.msgtype == 10", &["dhcpv6.xid"], 1, PATIENCE).unwrap();
}

/// Both ends ours: the server hears of the line and of the Ethernet address, and its leases say so.
#[test]
fn our_own_server() {
    let mut world =
        World::new("r-own", &config("interface-id = \"line 7\"\n[relay-agent]\nclient-link-layer = true\n"));
    let subnet = format!(
        "[relays]\ninterfaces = [\"net0\"]\nfrom = [\"{UPLINK}\"]\n[[subnet]]\nname = \"campus\"\nprefixes = [\"{LAN}\"]\n\
         delegate-from = [\"{POOL}\"]\ndelegate-length = 56\npreferred-lifetime = \"30s\"\nvalid-lifetime = \"60s\"\n"
    );
    let server = Sixgate::start(&world.server, &subnet);
    world.start();
    let client = dhclient(&world.alice);
    let held = world.wait_held();
    let carol = world.route_downstream(&held);
    world.wait_renewed();
    world.assert_reached(carol);
    let leases = server.leases();
    assert_eq!(leases.len(), 2, "{leases:?}");
    for lease in &leases {
        assert_eq!(lease["link_layer"].as_str(), Some(mac(&world.alice, "eth0").as_str()), "{lease}");
    }
    drop(client);
    world.end();
}

/// A relay agent that has lost everything asks the server what it delegated (RFC 5460), before any client
/// says a word.
#[test]
fn routes_are_recovered_by_bulk_leasequery() {
    let mut world = World::new("r-recover", &config("[relay-agent]\nrecover = true\n"));
    let subnet = format!(
        "[relays]\ninterfaces = [\"net0\"]\nfrom = [\"{UPLINK}\"]\n[leasequery]\nfrom = [\"{UPLINK}/128\"]\n[[subnet]]\n\
         name = \"campus\"\nprefixes = [\"{LAN}\"]\ndelegate-from = [\"{POOL}\"]\ndelegate-length = 56\n"
    );
    let server = Sixgate::start(&world.server, &subnet);
    world.start();
    dhclient(&world.alice);
    let held = world.wait_held();
    let carol = world.route_downstream(&held);
    world.relay.take().unwrap().kill();
    output(&world.gw, "rm", &["-r", "/run/sixgate/state"]);
    world.start();
    assert_eq!(world.wait_held(), held);
    world.assert_reached(carol);
    assert_eq!(world.counter("delivered"), 0, "no Reply has passed");
    let problems = world.relay().status()["problems"].to_string();
    assert!(!problems.contains("leasequery"), "{problems}");
    // One that may not ask is told, and says so.
    world.relay.take().unwrap().kill();
    server.stop();
    let _server =
        Sixgate::start(&world.server, &subnet.replace(&format!("{UPLINK}/128"), "2001:db8:ff::/48"));
    world.start();
    world.wait("a problem", || {
        let problems = world.relay().status()["problems"].to_string();
        problems.contains("relay-agent.recover = false").then_some(())
    });
    assert_eq!(world.wait_held(), held, "it was kept");
}
