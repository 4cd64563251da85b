//! Where nothing is wrong, nothing is found; and nothing is changed.

use super::world::{FAR, PATIENCE, SIXGATE, World, ids, run, spawn, state};
use sixgate_lab::{Transport, wait_for};

#[test]
fn our_own_network_has_no_findings_and_is_left_as_it_was() {
    let world = World::new("healthy");
    let config = "state = \"/run/sixgate/state\"\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
                  [dns]\nhosts = { \"far.example\" = [\"2001:db8:f::80\"] }\n";
    run(&world.gw, "ip addr del 2001:db8:1::1/64 dev lan0");
    world.gw.write_file("/etc/sixgate.toml", config).unwrap();
    let up = spawn(&world.gw, &format!("{SIXGATE} up -v"));
    up.wait_line(" serving ", PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", up.output()));
    world.settled();
    let leases = || run(&world.gw, &format!("{SIXGATE} leases --json"));
    let before = (state(&world.laptop), leases().lines().count());
    let (report, code) = world.doctor("--fail-on note");
    assert!(ids(&report).is_empty() && code == Some(0), "{report:#}");
    // It was looked at: this is no silence.
    let seen = &report["seen"];
    assert_eq!(seen["routers"].as_array().unwrap().len(), 1, "{seen:#}");
    assert!(seen["dhcpv6"]["answer"].is_object(), "{seen:#}");
    assert!(!seen["resolvers"][0]["answers_ms"].as_array().unwrap().is_empty(), "{seen:#}");
    assert_eq!((state(&world.laptop), leases().lines().count()), before);
}

#[test]
fn a_network_of_stock_programs_and_a_target_beyond_it() {
    let world = World::new("stock");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    let _web = spawn(&world.far, "python3 -m http.server --bind :: 80");
    wait_for("a web server", PATIENCE, || world.far.listening(Transport::Tcp, 80)).unwrap();
    world.settled();
    let (report, code) = world.doctor(&format!("--target [{FAR}]:80 --fail-on error"));
    // One thing is left to say of an island without IPv4: it is one.
    assert!(ids(&report) == ["no-way-to-ipv4"] && code == Some(0), "{report:#}");
    let path = &report["seen"]["path"];
    assert_eq!((&path["reached"], &path["pmtu"]["works"]), (&3.into(), &1500.into()), "{path:#}");
}
