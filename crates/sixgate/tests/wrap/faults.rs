//! One fault each, and its mended twin: the fault is found in the faulty, and in the mended nothing worse than a note.

use crate::{built, cell, ids, report, text, wrap};
use std::path::Path;

/// `(id, worlds, faulty, mended)`; the samples are in C (static), Python and Go.
const FAULTS: [(&str, &str, &str, &str); 22] = [
    ("listen-default", "dual", "listen_default.c", "listen_both.c"),
    ("listen-default", "dual", "listen_default.py", "listen_both.py"),
    ("listen-ipv4", "dual", "listen_ipv4.c", "listen_both.c"),
    ("listen-ipv4", "dual", "listen_ipv4.py", "listen_both.py"),
    ("listen-ipv4", "dual", "listen_ipv4.go", "listen_both.go"),
    ("mapped-peer", "dual", "listen_default.c", "listen_both.c"),
    ("mapped-peer", "dual", "listen_default.py", "listen_both.py"),
    ("sockaddr-length", "dual", "length.c", "connect_all.c"),
    ("flow-info", "dual", "flow.c", "connect_all.c"),
    ("flow-info", "dual", "flow.py", "connect_all.py"),
    ("socket-unused", "dual", "unused.c", "connect_all.c"),
    ("socket-unused", "dual", "unused.py", "connect_all.py"),
    ("family-untried", "dual", "connect_ipv4.c", "connect_all.c"),
    ("family-untried", "dual", "connect_ipv4.py", "connect_all.py"),
    ("family-untried", "dual", "connect_ipv4.go", "connect_all.go"),
    ("a-only", "dual", "connect_ipv4.py", "connect_all.py"),
    ("first-only", "flaky6", "first_only.c", "connect_all.c"),
    ("first-only", "flaky6", "first_only.py", "connect_all.py"),
    ("ipv4-literal", "dual", "literal.c", "connect_all.c"),
    ("ipv4-literal", "dual", "literal.py", "connect_all.py"),
    ("ipv4-literal", "dual", "literal.go", "connect_all.go"),
    ("world-fails", "dual,no6", "needs_ipv6.py", "listen_both.py"),
];

/// What is wrong with one row.
fn check(folder: &Path, id: &str, worlds: &str, faulty: &str, mended: &str) -> Vec<String> {
    let of = |name: &str| {
        let program = built(folder, name);
        let words: Vec<&str> = program.iter().map(String::as_str).collect();
        report(worlds, &words)
    };
    let mut wrong = Vec::new();
    let found = of(faulty);
    if !ids(&found).contains(&id.to_owned()) {
        wrong.push(format!("{id} is not found in {faulty}: {:#}", found["card"]));
    }
    let found = of(mended);
    let findings = found["card"]["findings"].as_array().unwrap();
    if findings.iter().any(|finding| finding["severity"] != "note" || finding["id"] == id) {
        wrong.push(format!("{mended} is mended: {:#}", found["card"]));
    }
    // The mended works, or it would prove nothing.
    if found["card"]["surfaces"].as_array().unwrap().len() < 2 {
        wrong.push(format!("{mended} does nothing: {found:#}"));
    }
    wrong
}

fn all_of(extension: &str) {
    let folder = tempfile::tempdir().unwrap();
    let rows = || FAULTS.iter().filter(|(.., faulty, _)| faulty.ends_with(extension));
    assert!(rows().count() >= 3);
    let wrong: Vec<String> = rows()
        .flat_map(|(id, worlds, faulty, mended)| check(folder.path(), id, worlds, faulty, mended))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_is_found_in_c() {
    all_of(".c");
}

#[test]
fn every_fault_is_found_in_python() {
    all_of(".py");
}

#[test]
fn every_fault_is_found_in_go() {
    all_of(".go");
}

/// An access list is told to refuse everybody: whoever is served got past it.
#[test]
fn mapped_addresses_that_pass_a_filter_are_found() {
    let folder = tempfile::tempdir().unwrap();
    for (faulty, mended) in [("filter_mapped.c", "filter.c"), ("filter_mapped.py", "filter.py")] {
        let of = |name: &str| {
            let program = built(folder.path(), name);
            let words: Vec<&str> = program.iter().map(String::as_str).collect();
            let output = wrap(&["--json", "--worlds", "dual", "--denied", "8080"], &words);
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
        };
        let found = of(faulty);
        let findings = found["card"]["findings"].as_array().unwrap();
        let passed: Vec<_> = findings.iter().filter(|finding| finding["id"] == "filter-passed").collect();
        // By IPv6 nobody passes.
        assert_eq!(passed.len(), 1, "{faulty}: {:#}", found["card"]);
        assert!(passed[0]["evidence"].as_str().unwrap().contains("mapped"), "{:#}", passed[0]);
        assert_eq!(cell(&found, "refuses tcp/8080", "dual"), "partly");
        let found = of(mended);
        assert!(ids(&found).is_empty(), "{mended}: {:#}", found["card"]);
        assert_eq!(cell(&found, "refuses tcp/8080", "dual"), "works");
        // Who is not told to be refused is judged as ever: a list that refuses all answers nobody with a banner.
        let program = built(folder.path(), mended);
        let words: Vec<&str> = program.iter().map(String::as_str).collect();
        let output = wrap(&["--json", "--worlds", "dual", "--probe", "8080=banner"], &words);
        let found = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(cell(&found, "answers tcp/8080", "dual"), "fails");
    }
}

/// Servers that we did not write are visited as their clients do.
#[test]
fn stock_servers_answer_their_probes() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=box"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let http = ["python3", "-m", "http.server", "--bind", "::", "8080"];
    let tls = ["openssl", "s_server", "-accept", "8443", "-key", &key, "-cert", &certificate, "-quiet"];
    let dns = ["dnsmasq", "-k", "--no-resolv", "--no-hosts", "--user=root", "--pid-file", "--bind-dynamic"];
    for (probe, surface, program) in [
        ("8080=http", "answers tcp/8080", &http[..]),
        ("8443=tls", "answers tcp/8443", &tls[..]),
        ("53=dns,53/udp=dns", "answers udp/53", &dns[..]),
        ("53=dns,53/udp=dns", "answers tcp/53", &dns[..]),
    ] {
        let found = |probe: &str| -> serde_json::Value {
            let output = wrap(&["--json", "--worlds", "dual", "--probe", probe], program);
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
        };
        let right = found(probe);
        assert_eq!(cell(&right, surface, "dual"), "works", "{surface}: {:#}", right["card"]);
    }
    // And a probe can fail: none of them speaks first.
    let output = wrap(&["--json", "--worlds", "dual", "--probe", "8080=tls"], &http);
    let wrong = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(cell(&wrong, "answers tcp/8080", "dual"), "fails");
}
