//! Stock clients of a stock server, with the relay agent in between: address and prefix, reachability through
//! the route that the relay agent made, renewals over a crash of it, release.

use crate::network::*;
use crate::world::*;
use sixgate_lab::{Command, Host, Process, Signal};
use std::net::Ipv6Addr;

/// The network with Kea behind the relay agent, a client in front, and what the client got.
fn stage(name: &str, client: impl FnOnce(&Host) -> Process) -> (World, Process, Held) {
    let mut world =
        World::new(name, &config("interface-id = \"line 7\"\n[relay-agent]\nclient-link-layer = true\n"));
    kea(&world.server, "", "");
    world.start();
    world.alice.wait_link_local("eth0", PATIENCE).unwrap();
    let client = client(&world.alice);
    let held = world.wait_held();
    (world, client, held)
}

/// A crash of the relay agent changes nothing: the prefix is reached before the client says a word, and its
/// renewals pass.
fn assert_kept(world: &mut World, held: &Held, inside: Ipv6Addr) {
    world.wait_renewed();
    world.crash();
    assert_eq!(world.delegations().len(), 1, "the delegation was kept");
    world.assert_routed(held);
    world.assert_reached(inside);
    world.wait_renewed();
    assert_eq!(world.wait_held(), *held);
    world.assert_reached(inside);
}

#[test]
fn dhclient() {
    const FILES: [&str; 6] =
        ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
    let dhclient = |alice: &Host, how: &[&str]| {
        let arguments: Vec<&str> =
            ["-6", "-N", "-P", "-v"].iter().chain(how).chain(&FILES).copied().collect();
        run(alice, "dhclient", &[&arguments[..], &["eth0"]].concat())
    };
    let (mut world, client, held) = stage("r-dhclient", |alice| {
        alice.write_file("/run/dhclient.conf", "").unwrap();
        alice.write_file("/run/dhclient.leases", "").unwrap();
        dhclient(alice, &["-d"])
    });
    let carol = world.route_downstream(&held);
    assert_kept(&mut world, &held, carol);
    let told = world.told(&["dhcpv6.linkaddr", "dhcpv6.peeraddr", "dhcpv6.hopcount", "dhcpv6.interface_id"]);
    let link_local = world.alice.wait_link_local("eth0", PATIENCE).unwrap().to_string();
    let expected = [ON_LAN.to_owned(), link_local, "0".to_owned(), hex(b"line 7")];
    assert!(told.iter().all(|forward| *forward == expected), "{told:?}");
    dhclient(&world.alice, &["-r"]).wait(PATIENCE).unwrap();
    world.wait_released(&held);
    client.wait(PATIENCE).unwrap();
    world.end();
}

#[test]
fn dhcpcd() {
    const CONFIG: &str = "nodev\nduid\nipv6only\nnohook resolv.conf\nnoipv6rs\n\
                          interface eth0\nipv6rs\nia_na 1\nia_pd 2/::/56 eth1/0/64\n";
    let (mut world, client, held) = stage("r-dhcpcd", |alice| {
        alice.write_file("/run/dhcpcd.conf", CONFIG).unwrap();
        run(alice, "dhcpcd", &["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0", "eth1"])
    });
    let inside = wait_in(&world.alice, "eth1", held.prefix);
    assert_kept(&mut world, &held, inside);
    // As `dhcpcd -k`.
    client.signal(Signal::SIGALRM).unwrap();
    world.wait_released(&held);
    client.wait(PATIENCE).unwrap();
    world.end();
}

#[test]
fn dibbler() {
    const CONFIG: &str =
        "log-mode short\nlog-level 7\ndownlink-prefix-ifaces \"eth1\"\niface \"eth0\" {\n ia\n pd\n}\n";
    let (mut world, client, held) = stage("r-dibbler", |alice| {
        alice.write_file("/run/dibbler/client.conf", CONFIG).unwrap();
        run(alice, "dibbler-client", &["run", "-w", "/run/dibbler"])
    });
    let carol = world.route_downstream(&held);
    assert_kept(&mut world, &held, carol);
    client.signal(Signal::SIGTERM).unwrap();
    world.wait_released(&held);
    client.wait(PATIENCE).unwrap();
    world.end();
}

#[test]
fn wide_dhcp6c() {
    const CONFIG: &str = "interface eth0 { send ia-na 1; send ia-pd 2; };\nid-assoc na 1 { };\n\
                          id-assoc pd 2 { prefix-interface eth1 { sla-id 0; sla-len 8; }; };\n";
    let (mut world, client, held) = stage("r-wide", |alice| {
        alice.write_file("/run/dhcp6c.conf", CONFIG).unwrap();
        run(alice, "dhcp6c", &["-f", "-D", "-c", "/run/dhcp6c.conf", "-p", "/run/dhcp6c.pid", "eth0"])
    });
    let inside = wait_in(&world.alice, "eth1", held.prefix);
    assert_kept(&mut world, &held, inside);
    client.signal(Signal::SIGTERM).unwrap();
    world.wait_released(&held);
    client.wait(PATIENCE).unwrap();
    world.end();
}

/// Debian 12's version does not release: its prefix is routed until its lifetime ends.
#[test]
fn systemd_networkd() {
    const UPLINK: &str = "[Match]\nName=eth0\n[Network]\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=yes\n\
                          [DHCPv6]\nDUIDType=link-layer\nIAID=1\nPrefixDelegationHint=::/56\n";
    const LAN: &str = "[Match]\nName=eth1\n[Network]\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\nDHCPPrefixDelegation=yes\n\
                       [DHCPPrefixDelegation]\nUplinkInterface=eth0\nSubnetId=0\nToken=::1\n";
    let (mut world, client, held) = stage("r-networkd", |alice| {
        alice.write_file("/run/systemd/network/10-eth0.network", UPLINK).unwrap();
        alice.write_file("/run/systemd/network/10-eth1.network", LAN).unwrap();
        // With /sys read-only it does not wait for udev.
        let run = "mount -o remount,ro /sys; exec /lib/systemd/systemd-networkd";
        let networkd = Command::new("sh").args(["-c", run]).env("SYSTEMD_LOG_LEVEL", "debug");
        alice.spawn(&networkd.env("SYSTEMD_LOG_TARGET", "console")).unwrap()
    });
    let inside = wait_in(&world.alice, "eth1", held.prefix);
    assert_kept(&mut world, &held, inside);
    client.stop(PATIENCE).unwrap();
    world.end();
}
