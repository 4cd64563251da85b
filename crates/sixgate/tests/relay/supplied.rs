//! Where no server is named (RFC 9915 section 19), and what the relay agent supplies for its clients (RFC 6422).

use crate::network::*;
use crate::world::*;
use sixgate_lab::{Host, Process};

/// dhclient, which asks for an address, and for the domain at which it would authenticate (RFC 6440).
fn dhclient(host: &Host) -> Process {
    let config = "option dhcp6.erp-domain code 65 = string;\nalso request dhcp6.erp-domain;\n";
    host.wait_link_local("eth0", PATIENCE).unwrap();
    host.write_file("/run/dhclient.conf", config).unwrap();
    host.write_file("/run/dhclient.leases", "").unwrap();
    let files = ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
    run(host, "dhclient", &[&["-6", "-N", "-d", "-v"], &files[..], &["eth0"]].concat())
}

/// dnsmasq is there and nobody said so: it belongs to the group.
#[test]
fn where_no_server_is_named_whoever_is_there_is_asked() {
    let anybody = config("").replace(&format!("relay = [\"{SERVER}\"]"), "relay = []");
    let mut world = World::new("r-anybody", &anybody);
    let range = "--dhcp-range=2001:db8:1::1000,2001:db8:1::1fff,64,2m";
    // It joins the groups of interfaces for which it has a range.
    let here = "--dhcp-range=2001:db8:0:1::1000,2001:db8:0:1::1fff,64,2m";
    let quiet =
        ["-k", "-d", "-p", "0", "-C", "/dev/null", "--log-dhcp", "--dhcp-leasefile=/run/dnsmasq.leases"];
    let _server = run(&world.server, "dnsmasq", &[&quiet[..], &[range, here]].concat());
    world.wait("dnsmasq on port 547", || {
        world.server.listening(sixgate_lab::Transport::Udp, 547).then_some(())
    });
    world.start();
    let _client = dhclient(&world.alice);
    wait_in(&world.alice, "eth0", LAN.parse().unwrap());
    let told = world.told(&["ipv6.dst", "ipv6.hlim"]);
    assert!(told.iter().all(|fields| fields[..] == ["ff05::1:3", "8"]), "{told:?}");
    world.end();
}

/// What dhclient heard last of the domain, as octets in hexadecimal.
fn heard(world: &World) -> Vec<String> {
    let replies = "dhcpv6.msgtype == 7 && dhcpv6.option.type == 65";
    let rows = world.lan.wait_fields(replies, &["udp.payload"], 1, PATIENCE).unwrap();
    rows.into_iter().flatten().collect()
}

const DOMAIN: &str = "0041000d03657270076578616d706c6500";

fn supplying() -> World {
    let mut world = World::new("r-supplied", &config("relay-options = { erp-domain = \"erp.example\" }\n"));
    world.start();
    world
}

#[test]
fn kea_takes_what_the_relay_agent_supplies() {
    let world = supplying();
    kea(&world.server, "", "");
    let _client = dhclient(&world.alice);
    wait_in(&world.alice, "eth0", LAN.parse().unwrap());
    assert!(heard(&world).iter().all(|reply| reply.contains(DOMAIN)));
    // As another dissector has it: an option in the option of the Relay-forward.
    assert!(world.forwards().iter().all(|forward| forward.contains(&format!("00420011{DOMAIN}"))));
    world.end();
}

#[test]
fn our_own_server_takes_what_its_relay_agent_supplies() {
    let world = supplying();
    let subnet = format!(
        "[relays]\ninterfaces = [\"net0\"]\nfrom = [\"{UPLINK}\"]\n[[subnet]]\nname = \"campus\"\nprefixes = [\"{LAN}\"]\n"
    );
    let server = Sixgate::start(&world.server, &subnet);
    let _client = dhclient(&world.alice);
    wait_in(&world.alice, "eth0", LAN.parse().unwrap());
    assert!(heard(&world).iter().all(|reply| reply.contains(DOMAIN)));
    let count = |name: &str| server.status()["dhcp"][name].as_u64().unwrap();
    assert!(count("relay-supplied") > 0 && count("relay-supplied-refused") == 0, "{}", server.status());
    world.wan.assert_clean("dhcpv6").unwrap();
    world.end();
}
