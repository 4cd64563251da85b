//! Lines, clones and moves: perfdhcp plays relay agent and client in one, with the relay agent's options at will.

use crate::network::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// One exchange through a relay agent of perfdhcp's own: a client with this DUID, and these options of the agent.
fn exchange(network: &Network, duid: &str, options: &[&str]) {
    let base = format!("duid={duid}");
    let mut arguments =
        vec!["-6", "-A", "1", "-l", RELAY, "-n", "1", "-r", "1", "-R", "1", "-W", "500000", "-b", &base];
    arguments.extend(["-e", "address-and-prefix"]);
    for option in options {
        arguments.extend(["--or", option]);
    }
    arguments.push(SERVER);
    let told = output(&network.relay, "perfdhcp", &arguments);
    assert!(told.contains("received packets: 1"), "{told}");
}

/// The DUID-LL of a box.
fn duid(last: u8) -> String {
    format!("0003000102000000bb{last:02x}")
}

/// An Interface-Id option, for the first agent.
fn line(name: &str) -> String {
    let digits: String = name.bytes().map(|octet| format!("{octet:02x}")).collect();
    format!("1:18,{digits}")
}

fn texts(leases: &[Value], key: &str) -> BTreeSet<String> {
    leases.iter().map(|lease| lease[key].as_str().unwrap_or_default().to_owned()).collect()
}

/// The agent's own address names the link here.
const HERE: &str = "link-addresses = [\"2001:db8:ff::/64\"]\n";

#[test]
fn a_box_is_swapped_and_leases_are_moved_and_ended() {
    let network = Network::new("r-lines");
    let config = config(&format!("{HERE}key = \"line\"\n"));
    let mut server = Sixgate::start(&network.server, &config);
    exchange(&network, &duid(1), &[&line("eth3")]);
    let first = server.leases();
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(texts(&first, "line"), BTreeSet::from(["interface:eth3".to_owned()]));
    // Another box on the line, after a crash: what the line had.
    server = server.crash(&config);
    exchange(&network, &duid(2), &[&line("eth3")]);
    let second = server.leases();
    assert_eq!(texts(&second, "resource"), texts(&first, "resource"));
    let new: String = duid(2)
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap())
        .collect::<Vec<_>>()
        .join(":");
    assert_eq!(texts(&second, "duid"), BTreeSet::from([new]));
    assert_eq!(server.json(&["status"])["dhcp"]["succeeded"], 2);

    // Moved to another line, it is there after a crash, and had there with the first exchange.
    let to = format!("interface:{RELAY},eth4");
    let from = format!("interface:{RELAY},eth3");
    let moved = server.json(&["lease", "move", &from, &to]);
    assert_eq!(moved["changed"].as_array().unwrap().len(), 2);
    server = server.crash(&config);
    exchange(&network, &duid(3), &[&line("eth4")]);
    let third = server.leases();
    assert_eq!(texts(&third, "resource"), texts(&first, "resource"));
    exchange(&network, &duid(2), &[&line("eth3")]);
    assert_eq!(server.leases().len(), 4);

    // Refused with a reason, and ended for good.
    let prefix = texts(&first, "resource").into_iter().find(|text| text.contains('/')).unwrap();
    let (code, why) = said(&network.server, &["lease", "move", &prefix, "mac:02:00:00:00:00:01"]);
    assert_eq!(code, Some(1));
    assert!(why.contains("street knows its clients by their line"), "{why}");
    let (code, why) = said(&network.server, &["lease", "release", "2001:db8::77"]);
    assert_eq!(code, Some(1));
    assert!(why.contains("2001:db8::77 is not leased"), "{why}");
    let (code, done) = said(&network.server, &["lease", "release", &prefix]);
    assert_eq!((code, done.contains(&format!("released {prefix}"))), (Some(0), true), "{done}");
    server = server.crash(&config);
    assert!(!texts(&server.leases(), "resource").contains(&prefix));
    network.assert_clean();
}

#[test]
fn ten_clones_are_seen_and_have_ten_addresses_where_hardware_is_the_key() {
    let network = Network::new("r-clones");
    let server = Sixgate::start(&network.server, &config(HERE));
    let mac = |clone: u8| format!("1:79,000102000000cc{clone:02x}");
    for clone in [1, 2, 3] {
        exchange(&network, &duid(1), &[&mac(clone)]);
    }
    assert_eq!(server.leases().len(), 2, "one identity, one address and one prefix");
    let problems = server.json(&["status"])["problems"].to_string();
    assert!(problems.contains("3 machines on `street` have one DUID"), "{problems}");
    assert!(problems.contains("02:00:00:00:cc:01") && problems.contains("key = \\\"mac\\\""), "{problems}");
    // Known by their hardware, each has its own; what was given is not lost.
    server.reload(&config(&format!("{HERE}key = \"mac\"\ntrust = [\"relay\"]\n")));
    for clone in 1..=10 {
        exchange(&network, &duid(1), &[&mac(clone)]);
    }
    let leases = server.leases();
    assert_eq!((leases.len(), texts(&leases, "link_layer").len()), (20, 10));
    assert_eq!(texts(&leases, "learnt"), BTreeSet::from(["relay".to_owned()]));
    assert!(server.json(&["status"])["problems"].as_array().unwrap().is_empty());
    // Two systems of one machine are shown as one.
    exchange(&network, &duid(2), &[&mac(1)]);
    assert_eq!(server.leases().len(), 20);
    // Without a hardware address nobody is known.
    let told = network.relay.spawn(
        &sixgate_lab::Command::new("perfdhcp")
            .args(["-6", "-A", "1", "-l", RELAY, "-n", "1", "-r", "1", "-R", "1", "-W", "500000", SERVER]),
    );
    let _ = told.unwrap().wait(PATIENCE).unwrap();
    assert!(server.json(&["status"])["dhcp"]["discarded-identity"].as_u64() > Some(0));
    network.assert_clean();
}
