//! Lines, clones and moves.

use crate::agent::*;
use crate::network::*;
use serde_json::Value;
use sixgate_wire::dhcpv6::MessageType;
use std::collections::BTreeSet;

fn texts(leases: &[Value], key: &str) -> BTreeSet<String> {
    leases.iter().map(|lease| lease[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_box_is_swapped_and_leases_are_moved_and_ended() {
    let network = Network::new("r-lines");
    let config = config("key = \"line\"\n");
    let mut server = Sixgate::start(&network.server, &config);
    exchange(&network, 1, &[line("eth3")]);
    let first = server.leases();
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(texts(&first, "line"), BTreeSet::from(["interface:eth3".to_owned()]));
    // Another box on the line, after a crash: what the line had.
    server = server.crash(&config);
    exchange(&network, 2, &[line("eth3")]);
    let second = server.leases();
    assert_eq!(texts(&second, "resource"), texts(&first, "resource"));
    assert_eq!(texts(&second, "duid"), BTreeSet::from([duid(2).to_string()]));
    assert_eq!(server.json(&["status"])["dhcp"]["succeeded"], 2);

    // Moved to another line, it is there after a crash, and had there with the first exchange.
    let to = format!("interface:{LINK},eth4");
    let from = format!("interface:{LINK},eth3");
    let moved = server.json(&["lease", "move", &from, &to]);
    assert_eq!(moved["changed"].as_array().unwrap().len(), 2);
    server = server.crash(&config);
    exchange(&network, 3, &[line("eth4")]);
    let third = server.leases();
    assert_eq!(texts(&third, "resource"), texts(&first, "resource"));
    exchange(&network, 2, &[line("eth3")]);
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
    let server = Sixgate::start(&network.server, &config(""));
    for clone in [1, 2, 3] {
        exchange(&network, 1, &[mac(clone)]);
    }
    assert_eq!(server.leases().len(), 2, "one identity, one address and one prefix");
    let problems = server.json(&["status"])["problems"].to_string();
    assert!(problems.contains("3 machines on `street` have one DUID"), "{problems}");
    assert!(problems.contains("02:00:00:00:cc:01") && problems.contains("key = \\\"mac\\\""), "{problems}");
    // Known by their hardware, each has its own; what was given is not lost.
    server.reload(&config("key = \"mac\"\ntrust = [\"relay\"]\n"));
    for clone in 1..=10 {
        exchange(&network, 1, &[mac(clone)]);
    }
    let leases = server.leases();
    assert_eq!((leases.len(), texts(&leases, "link_layer").len()), (20, 10));
    assert_eq!(texts(&leases, "learnt"), BTreeSet::from(["relay".to_owned()]));
    assert!(server.json(&["status"])["problems"].as_array().unwrap().is_empty());
    // Two systems of one machine are shown as one.
    exchange(&network, 2, &[mac(1)]);
    assert_eq!(server.leases().len(), 20);
    let (_, table) = said(&network.server, &["leases"]);
    assert!(table.contains("02:00:00:00:cc:02 (relay)"), "{table}");
    // Without a hardware address nobody is known.
    assert!(ask(&network, 5, MessageType::SOLICIT, &[], &[]).is_none());
    assert!(server.json(&["status"])["dhcp"]["discarded-identity"].as_u64() > Some(0));
    network.assert_clean();
}

#[test]
fn two_systems_of_one_machine_are_shown_as_one() {
    let network = Network::new("r-dual");
    let server = Sixgate::start(&network.server, &config(""));
    for system in [1, 2] {
        exchange(&network, system, &[mac(7)]);
    }
    assert_eq!(server.leases().len(), 4);
    let (_, table) = said(&network.server, &["leases"]);
    let told = format!("02:00:00:00:cc:07 is one machine that asks as {} and {}", duid(1), duid(2));
    assert!(table.contains(&told), "{table}");
    assert!(table.contains("02:00:00:00:cc:07 (relay)"), "{table}");
    assert!(server.json(&["status"])["problems"].as_array().unwrap().is_empty());
}
