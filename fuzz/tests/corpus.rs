//! Every input that was ever worth keeping, played again.

use std::fs;
use std::path::PathBuf;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn replay(target: &str) {
    let (_, function) = sixgate_fuzz::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let mut inputs = 0;
    for entry in fs::read_dir(corpus(target)).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("an input");
        // Printed only where the test fails: the last one named is the one that did it.
        println!("{}", path.display());
        function(&bytes);
        // What is cut short on its way is another input.
        for length in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
            function(&bytes[..length]);
        }
        inputs += 1;
    }
    assert!(inputs > 10, "only {inputs} inputs");
}

#[test]
fn dhcpv6() {
    replay("dhcpv6");
}

#[test]
fn dhcpv4() {
    replay("dhcpv4");
}

#[test]
fn ndp() {
    replay("ndp");
}

#[test]
fn server() {
    replay("server");
}

#[test]
fn server_v4() {
    replay("server_v4");
}

#[test]
fn leasequery() {
    replay("leasequery");
}

#[test]
fn relay() {
    replay("relay");
}

#[test]
fn client() {
    replay("client");
}

#[test]
fn dns() {
    replay("dns");
}

#[test]
fn dnssec() {
    replay("dnssec");
}

#[test]
fn endpoint() {
    replay("endpoint");
}

#[test]
fn connect() {
    replay("connect");
}

#[test]
fn http() {
    replay("http");
}

#[test]
fn proxy() {
    replay("proxy");
}

#[test]
fn answer() {
    replay("answer");
}

#[test]
fn xlat() {
    replay("xlat");
}

#[test]
fn audit() {
    replay("audit");
}

#[test]
fn watched() {
    replay("watched");
}

#[test]
fn aqm() {
    replay("aqm");
}

#[test]
fn classify() {
    replay("classify");
}

#[test]
fn policy() {
    replay("policy");
}

#[test]
fn update() {
    replay("update");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folder = corpus("");
    let mut found: Vec<String> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    found.sort();
    let mut targets: Vec<_> = sixgate_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(found, targets);
}

#[test]
fn measured() {
    replay("measured");
}
