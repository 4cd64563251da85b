//! A hostile neighbour on one LAN: what it takes for itself it does not take from others.

use crate::network::*;
use sixgate_lab::{Command, Host, Process};

/// Holds 200 connections to the gateway's DNS and asks on each of them again and again; then, with `ask`, one more
/// connection gets an answer.
const CONNECTIONS: &str = r"
import socket, struct, sys, time
query = b'\x01\x02\x01\0\0\1\0\0\0\0\0\0\x07gateway\x04home\x04arpa\0\0\x1c\0\1'
message = struct.pack('!H', len(query)) + query
held = [socket.create_connection((sys.argv[1], 53)) for _ in range(200)]
print('held', flush=True)
while True:
    for connection in held:
        try: connection.send(message)
        except OSError: pass
    time.sleep(0.5)
";

/// One question over TCP.
const ASK: &str = r"
import socket, struct, sys
query = b'\x01\x02\x01\0\0\1\0\0\0\0\0\0\x07gateway\x04home\x04arpa\0\0\x1c\0\1'
with socket.create_connection((sys.argv[1], 53), timeout=10) as connection:
    connection.sendall(struct.pack('!H', len(query)) + query)
    assert len(connection.recv(2000)) > len(query) + 20
print('answered')
";

/// Takes leases under made-up DUIDs with Rapid Commit, as fast as it can.
const SOLICITS: &str = r"
import os, socket, struct, sys
interface = socket.if_nametoindex('eth0')
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 546, 0, interface))
s.setblocking(False)
option = lambda code, data: struct.pack('!HH', code, len(data)) + data
while True:
    duid, ia = option(1, b'\0\3\0\1' + os.urandom(6)), option(3, os.urandom(4) + b'\0' * 8)
    solicit = b'\1' + os.urandom(3) + duid + ia + option(14, b'') + option(8, b'\0\0')
    try:
        s.sendto(solicit, ('ff02::1:2', 547, 0, interface))
        while True: s.recv(2000)
    except BlockingIOError: pass
";

fn python(host: &Host, script: &str, argument: &str) -> Process {
    host.spawn(&Command::new("python3").args(["-c", script, argument])).unwrap()
}

#[test]
fn a_neighbour_that_takes_all_connections_keeps_nobody_out() {
    let home = home("attack-tcp");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    let dns = format!("{}1", lan.network());
    let held = python(&home.alice, CONNECTIONS, &dns);
    held.wait_line("held", PATIENCE).unwrap();
    for _ in 0..3 {
        assert!(output(&home.alice, "python3", &["-c", ASK, &dns]).contains("answered"));
    }
    gateway.stop();
    isp.stop();
}

#[test]
fn a_neighbour_that_takes_all_leases_leaves_the_other_lan_its_own() {
    let home = home("attack-leases");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, &format!("{GATEWAY}[dhcp]\nleases = 4000\n"));
    gateway.wait_lan_prefix(0);
    let link_local = home.alice.wait_link_local("eth0", PATIENCE).unwrap();
    let _flood = python(&home.alice, SOLICITS, &link_local.to_string());
    gateway.wait_status("a LAN without a lease left", |status| {
        (status["dhcp"]["capped"].as_u64()? > 100).then_some(())
    });
    let bob = Sixgate::start(&home.bob, "[uplink]\ninterface = \"eth0\"\nprefix = false\n");
    bob.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    let status = gateway.status();
    assert_eq!((&status["lans"][0]["leases"], &status["lans"][1]["leases"]), (&2000.into(), &1.into()));
    bob.stop();
    gateway.stop();
    isp.stop();
}

#[test]
fn a_flood_of_new_clients_is_not_even_read_and_who_has_a_lease_keeps_it() {
    let home = home("attack-flood");
    let gateway = Sixgate::start(
        &home.gw,
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
         [[lan]]\ninterface = \"lan1\"\nprefixes = [\"2001:db8:2::/64\"]\n\
         [dns]\nenabled = false\n[dhcp]\nleases = 1000000\n",
    );
    // Both ends: what comes to a server that has no address yet is lost.
    for (host, interface) in
        [(&home.alice, "eth0"), (&home.bob, "eth0"), (&home.gw, "lan0"), (&home.gw, "lan1")]
    {
        host.wait_link_local(interface, PATIENCE).unwrap();
    }
    let load = |host: &Host, arguments: &str| {
        let load = Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0"]);
        let load = host.spawn(&load.args(arguments.split(' '))).unwrap();
        load.wait_line("begin", PATIENCE).unwrap();
        load
    };
    let kept_away = |status: &serde_json::Value| status["dhcp"]["kept-away-per-thousand"].as_u64().unwrap();
    // Fifty that have leases, and renew them while others ask for new ones as fast as packets can be sent.
    let renewing = load(&home.bob, "--renew --clients 50 --rate 10 --seconds 5");
    assert_eq!(gateway.status()["lans"][1]["leases"], 50);
    let flood = load(&home.alice, "--clients 100000000 --rate 10000000 --seconds 6");
    gateway.wait_status("messages that are kept away", |status| (kept_away(status) > 100).then_some(()));
    assert!(renewing.wait(PATIENCE).unwrap().success(), "{}", renewing.output());
    let output = renewing.output();
    let told: serde_json::Value = output.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let count = |what: &str| told[what].as_u64().unwrap();
    assert!(count("completed") >= 45, "{told}\n{}", gateway.status());
    assert!(flood.wait(PATIENCE).unwrap().success(), "{}", flood.output());
    // And when it is over, all are heard again.
    gateway.wait_status("nothing kept away", |status| (kept_away(status) == 0).then_some(()));
    gateway.stop();
}
