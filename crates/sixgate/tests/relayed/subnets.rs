//! Very many links behind relay agents in one server, and who is heard at all.

use crate::network::*;
use std::fmt::Write as _;
use std::time::Instant;

/// This many subnets in one file.
const MANY: u16 = 10_000;

#[test]
fn ten_thousand_subnets_are_served_at_once() {
    let network = Network::new("r-subnets");
    let mut config = config("link-addresses = [\"2001:db8:fe::1\"]");
    for n in 0..MANY {
        let _ = writeln!(
            config,
            "[[subnet]]\nprefixes = [\"2001:db8:5000:{n:x}::/64\"]\nlink-addresses = [\"2001:db8:ff::1:{n:x}\"]"
        );
    }
    // From the relay agent's own address, which is one of them.
    let config = config.replace("2001:db8:ff::1:1f40\"", "2001:db8:ff::1\"");
    let started = Instant::now();
    let server = Sixgate::start(&network.server, &config);
    println!("serving after {:?}", started.elapsed());
    let told = output(
        &network.relay,
        "perfdhcp",
        &["-6", "-A", "1", "-l", RELAY, "-n", "20", "-r", "100", "-R", "20", "-W", "500000", SERVER],
    );
    assert!(told.contains("received packets: 20"), "{told}");
    let leases = server.leases();
    assert_eq!(leases.len(), 20);
    for lease in leases {
        assert_eq!(lease["lan"], format!("2001:db8:5000:{:x}::/64", 8_000), "{lease}");
    }
    network.assert_clean();
}

#[test]
fn agents_that_were_not_named_are_not_heard() {
    let network = Network::new("r-deaf");
    let config = config("link-addresses = [\"2001:db8:ff::/64\"]")
        .replace(&format!("from = [\"{RELAY}\"]"), "from = [\"2001:db8:ee::/48\"]");
    let server = Sixgate::start(&network.server, &config);
    let command = sixgate_lab::Command::new("perfdhcp");
    let process = network.relay.spawn(
        &command
            .args(["-6", "-A", "1", "-l", RELAY, "-n", "3", "-r", "10", "-R", "3", "-W", "500000", SERVER]),
    );
    let _ = process.unwrap().wait(PATIENCE).unwrap();
    let status = server.json(&["status"]);
    assert_eq!(status["dhcp"]["discarded-relay"], 3, "{status}");
    assert_eq!((&status["dhcp"]["relayed"], server.leases().len()), (&0.into(), 0));
    let answers =
        network.seen.fields("udp.srcport == 547 && ipv6.src == 2001:db8:ff::547", &["frame.number"]).unwrap();
    assert!(answers.is_empty(), "{}", network.seen.summary());
}
