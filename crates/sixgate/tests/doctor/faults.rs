//! One fault at a time.

use super::world::{FAR, GATEWAY, PATIENCE, SIXGATE, World, ids, run, spawn};
use sixgate_lab::{Transport, wait_for};

#[test]
fn no_router() {
    let world = World::new("no-router");
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["no-router"] && code == Some(1), "{report:#}");
    let (_, code) = world.doctor("--fail-on never");
    assert_eq!(code, Some(0));
}

#[test]
fn radvd_without_rdnss() {
    let world = World::new("no-rdnss");
    let _radvd = World::radvd(&world.gw, "lan0", &World::prefix("2001:db8:1::/64"));
    world.settled();
    world.laptop.write_file("/etc/resolv.conf", "nameserver 192.0.2.53\n").unwrap();
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["no-ipv6-resolver"] && code == Some(1), "{report:#}");
    let evidence = report["findings"][0]["evidence"].as_str().unwrap();
    assert!(evidence.contains("no RDNSS") && evidence.contains("192.0.2.53"), "{evidence}");
}

#[test]
fn rdnss_by_dhcpv6_alone() {
    let world = World::new("dhcp-dns");
    let says = format!("AdvOtherConfigFlag on; {}", World::prefix("2001:db8:1::/64"));
    let _radvd = World::radvd(&world.gw, "lan0", &says);
    let _dnsmasq = world.dnsmasq(&format!("--dhcp-range=::,constructor:lan0,ra-stateless --dhcp-option=option6:dns-server,[{GATEWAY}] --ra-param=lan0,0,0"));
    world.settled();
    let (report, _) = world.doctor("");
    // dnsmasq's ra-stateless would advertise too: that is another router of the same address only where it does.
    assert!(report["seen"]["dhcpv6"]["answer"]["resolvers"][0] == GATEWAY, "{report:#}");
    assert!(!ids(&report).contains(&"no-ipv6-resolver".to_owned()), "{report:#}");
}

#[test]
fn a_rogue_router() {
    let world = World::new("rogue");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    run(&world.rogue, "sysctl -qw net.ipv6.conf.all.forwarding=1");
    let _rogue = World::radvd(&world.rogue, "eth0", &World::prefix("2001:db8:bad::/64"));
    world.settled();
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["routers-disagree"] && code == Some(1), "{report:#}");
    let evidence = report["findings"][0]["evidence"].as_str().unwrap();
    assert!(evidence.contains("2001:db8:bad::/64") && evidence.contains("2001:db8:1::/64"), "{evidence}");
}

#[test]
fn a_firewall_that_eats_packet_too_big() {
    let world = World::new("eats");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    for (host, interface) in [(&world.isp, "core0"), (&world.far, "eth0")] {
        run(host, &format!("ip link set {interface} mtu 1400"));
    }
    world.settled();
    let target = format!("--target [{FAR}]:80");
    let _web = spawn(&world.far, "python3 -m http.server --bind :: 80");
    wait_for("a web server", PATIENCE, || world.far.listening(Transport::Tcp, 80)).unwrap();
    // A small MTU that is told of is no fault.
    let (report, _) = world.doctor(&target);
    assert_eq!(ids(&report), ["no-way-to-ipv4"], "{report:#}");
    run(&world.gw, "nft add table ip6 eats");
    run(&world.gw, "nft add chain ip6 eats passing { type filter hook forward priority 0 ; }");
    run(&world.gw, "nft add rule ip6 eats passing icmpv6 type packet-too-big drop");
    // What the laptop learned of the path it has to forget.
    run(&world.laptop, "ip -6 route flush cache");
    let (report, code) = world.doctor(&target);
    assert!(ids(&report) == ["mtu-black-hole", "no-way-to-ipv4"] && code == Some(1), "{report:#}");
    let evidence = report["findings"][0]["evidence"].as_str().unwrap();
    assert!(evidence.starts_with("1400 octets pass"), "{evidence}");
}

#[test]
fn a_resolver_on_ipv4_only() {
    let world = World::new("dns-v4");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    run(&world.gw, "ip addr add 192.0.2.1/24 dev lan0");
    // It is told of by IPv6, and listens on IPv4 alone.
    let line = "dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file=/run/dnsmasq.pid --listen-address=192.0.2.1 --bind-interfaces";
    let _dnsmasq = spawn(&world.gw, line);
    wait_for("dnsmasq", PATIENCE, || world.gw.listening(Transport::Udp, 53)).unwrap();
    world.settled();
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["resolver-silent"] && code == Some(1), "{report:#}");
}

#[test]
fn nat64_without_pref64() {
    let world = World::new("no-pref64");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    // What a DNS64 says.
    let _dnsmasq = world.dnsmasq("--host-record=ipv4only.arpa,64:ff9b::c000:aa");
    world.settled();
    let (report, code) = world.doctor("--fail-on warning");
    assert!(ids(&report) == ["no-pref64"] && code == Some(1), "{report:#}");
}

#[test]
fn option_108_without_nat64() {
    let world = World::new("option-108");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    run(&world.gw, "ip addr add 192.0.2.1/24 dev lan0");
    let _dnsmasq = world.dnsmasq(
        "--dhcp-range=192.0.2.100,192.0.2.200 --dhcp-leasefile=/run/leases --dhcp-option-force=108,0:0:7:8",
    );
    world.settled();
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["option-108-without-nat64"] && code == Some(1), "{report:#}");
    // No lease was taken.
    assert!(world.gw.read_file("/run/leases").unwrap_or_default().trim().is_empty());
}

#[test]
fn hosts_sent_to_a_dhcpv6_that_is_not_there() {
    let world = World::new("m-flag");
    let _radvd = World::radvd(&world.gw, "lan0", &format!("AdvManagedFlag on; {}", World::usual()));
    let _dnsmasq = world.dnsmasq("");
    world.settled();
    let (report, code) = world.doctor("");
    assert!(ids(&report) == ["dhcpv6-silent"] && code == Some(1), "{report:#}");
}

#[test]
fn an_mtu_that_is_not_possible() {
    let world = World::new("ra-mtu");
    let _radvd = World::radvd(&world.gw, "lan0", &format!("AdvLinkMTU 1500; {}", World::usual()));
    let _dnsmasq = world.dnsmasq("");
    world.settled();
    assert!(ids(&world.doctor("").0).is_empty());
    run(&world.laptop, "ip link set eth0 mtu 1400");
    let (report, code) = world.doctor("--fail-on warning");
    assert!(ids(&report) == ["advertised-mtu"] && code == Some(1), "{report:#}");
}

#[test]
fn a_queue_at_the_isps_hop() {
    let world = World::bloated("bloat");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    let far = spawn(&world.far, &format!("{SIXGATE} measure serve --token tests-only --allow 2001:db8::/32"));
    far.wait_line("listening on ", PATIENCE).unwrap();
    world.settled();
    let (report, code) = world.doctor(&format!("--load {FAR} --token tests-only"));
    assert!(ids(&report) == ["queue"] && code == Some(1), "{report:#}");
    let standing = &report["seen"]["path"]["standing"];
    assert_eq!((&standing["after"], &standing["before"]), (&1.into(), &2.into()), "{standing}");
    assert!(standing["wait_ms"].as_f64().unwrap() > 100.0, "{standing}");
    assert_eq!(report["findings"][0]["place"], "access", "{report:#}");
}

#[test]
fn an_ipv6_that_ipv4_hides() {
    let world = World::new("hidden");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    for (host, interface, address) in [
        (&world.laptop, "eth0", "192.0.2.9/24"),
        (&world.gw, "lan0", "192.0.2.1/24"),
        (&world.gw, "wan0", "203.0.113.2/24"),
        (&world.isp, "cust0", "203.0.113.1/24"),
        (&world.isp, "core0", "198.51.100.1/24"),
        (&world.far, "eth0", "198.51.100.80/24"),
    ] {
        run(host, &format!("ip addr add {address} dev {interface}"));
    }
    for (host, hop) in [
        (&world.laptop, "192.0.2.1"),
        (&world.gw, "203.0.113.1"),
        (&world.isp, "203.0.113.2"),
        (&world.far, "198.51.100.1"),
    ] {
        run(host, &format!("ip route add default via {hop}"));
    }
    world.laptop.write_file("/etc/hosts", format!("{FAR} far.example\n198.51.100.80 far.example\n")).unwrap();
    let _web = spawn(&world.far, "python3 -m http.server --bind :: 80");
    wait_for("a web server", PATIENCE, || world.far.listening(Transport::Tcp, 80)).unwrap();
    run(&world.isp, "ip -6 route del default");
    world.settled();
    let (report, code) = world.doctor("--target far.example:80");
    assert!(ids(&report).contains(&"ipv6-hidden".to_owned()) && code == Some(1), "{report:#}");
}
