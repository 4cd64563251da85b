//! One fault each, and its mended twin: the fault is found in the faulty, and in the mended nothing worse than a note.

use crate::{built, ids, report};
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
