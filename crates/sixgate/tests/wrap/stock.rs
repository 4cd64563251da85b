//! Programs of Debian's that we did not write, each with what was found by hand to be true of it.

use crate::{cell, ids, report};

#[test]
fn curl_is_ready() {
    let report = report(
        "dual,v6only,no4,v6only+nat64,flaky6,v4only,no6",
        &["curl", "-sS", "-m", "10", "http://www.example.com/"],
    );
    assert_eq!(report["card"]["grade"], "ipv6-only-ready", "{:#}", report["card"]);
    // It falls back, and tells nobody.
    assert!(ids(&report).contains(&"fault-hidden".to_owned()));
    // Through the translator, to a name that has IPv4 alone.
    let far =
        super::report("v6only,v6only+nat64", &["curl", "-sS", "-m", "10", "http://v4only.example.com/"]);
    assert_eq!(cell(&far, "runs", "v6only+nat64"), "works", "{:#}", far["card"]);
    assert_ne!(far["runs"][0]["end"]["exited"], 0);
}

#[test]
fn dnsmasq_serves_without_ipv4_but_wants_its_sockets() {
    let worlds = "dual,v6only,v4only,no6";
    let arguments = ["dnsmasq", "--no-daemon", "--no-resolv", "--user=root", "--port=5353", "--pid-file="];
    let report = report(worlds, &arguments);
    for world in worlds.split(',') {
        assert_eq!(cell(&report, "answers udp/5353", world), "works", "{world}: {:#}", report["card"]);
    }
    assert!(!ids(&report).contains(&"listen-default".to_owned()), "{:#}", report["card"]);
    // It lists interfaces through an IPv4 socket: on a kernel without IPv4 it would not start.
    let without = super::report("dual,no4", &arguments);
    assert_eq!(without["runs"][1]["end"]["exited"], 5, "{:#}", without["card"]);
    assert!(ids(&without).contains(&"world-fails".to_owned()));
}

#[test]
fn pythons_server_listens_by_one_family_unless_told() {
    let report = report("dual,v6only", &["python3", "-m", "http.server", "8000"]);
    assert_eq!(cell(&report, "answers tcp/8000", "dual"), "partly", "{:#}", report["card"]);
    assert_eq!(cell(&report, "answers tcp/8000", "v6only"), "works");
    assert!(ids(&report).contains(&"listen-ipv4".to_owned()));
}

/// An address written as a number is out of reach behind NAT64, and a CLAT brings it back.
#[test]
fn a_clat_helps_who_writes_addresses() {
    let literal = ["curl", "-sS", "-m", "10", "http://198.51.100.10/"];
    let report = report("v6only+nat64,v6only+clat", &literal);
    assert_eq!(cell(&report, "runs", "v6only+nat64"), "fails", "{:#}", report["card"]);
    assert_eq!(cell(&report, "runs", "v6only+clat"), "works", "{:#}", report["card"]);
    assert!(report["runs"][1]["said"].as_str().unwrap().contains("the far side"));
    // Whoever has a CLAT has the loopback address that /etc/hosts names.
    let local = "import socket; socket.socket().bind(('127.0.0.1', 7000))";
    let local = super::report("v6only+clat", &["python3", "-c", local]);
    assert_eq!(local["runs"][0]["end"]["exited"], 0, "{:#}", local["runs"][0]["said"]);
}
