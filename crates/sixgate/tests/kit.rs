//! The binary as a user of the kit: `sixgate explain`, and no family named outside the kit but where it must be.

use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn explain(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sixgate"));
    command.arg("explain").args(arguments).output().expect("the binary runs")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("UTF-8")
}

#[test]
fn the_policy_prints_itself() {
    let default = text(&explain(&[]).stdout);
    assert!(default.contains("IPv6 preferred") && default.contains("one every 250 ms"), "{default}");
    let v4 = text(&explain(&["-4"]).stdout);
    assert!(!v4.contains("IPv6 preferred"), "{v4}");
    let rules: serde_json::Value = serde_json::from_slice(&explain(&["--json"]).stdout).expect("JSON");
    assert_eq!(rules.as_array().map(Vec::len), Some(default.lines().count()));
}

#[test]
fn it_connects_and_tells_how() {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a listener");
    let there = listener.local_addr().expect("its address").to_string();
    let done = explain(&[&there, "--connect", "--json"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let trace: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(trace["attempts"][0]["to"], there.as_str());
    let (_, peer) = listener.accept().expect("somebody connected");
    assert!(peer.ip().is_loopback());
    drop(listener);

    let refused = explain(&[&there, "--connect"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains(&format!("{there}: refused: nothing listens there")));
}

#[test]
fn mistakes_are_named() {
    let ambiguous = explain(&["::1:53"]);
    assert_eq!(ambiguous.status.code(), Some(2));
    assert!(text(&ambiguous.stderr).contains("write [::1]:53 if 53 is the port"));
    assert_eq!(explain(&["-4", "-6", "::1"]).status.code(), Some(2));
    // Without a NAT64 to go by.
    let v4 = explain(&["-4", "2001:db8::1"]);
    assert_eq!(v4.status.code(), Some(1));
    assert!(text(&v4.stderr).contains("2001:db8::1 is IPv6, and IPv4 alone is allowed"));
    let nowhere = explain(&["[fe80::1%nope]:80"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("no interface `nope`"));
}

/// What a search for assumptions about the family looks for: the guide's list.
const EXPLICIT: [&str; 14] = [
    "AF_INET",
    "PF_INET",
    "sockaddr_in",
    "inet_aton",
    "inet_ntoa",
    "inet_pton",
    "inet_addr",
    "gethostby",
    "Ipv4Addr",
    "SocketAddrV4",
    "IpAddr::V",
    "SocketAddr::V",
    "is_ipv4",
    "is_ipv6",
];
/// Lines of a terminal.
const SCREEN: usize = 24;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_search_for_explicit_families_outside_the_kit_fits_one_screen() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates");
    let mut hits = Vec::new();
    for entry in std::fs::read_dir(crates).expect("crates") {
        let room = entry.expect("a crate").path();
        // The translator's trade is the families themselves, here and in the rooms of the binary named after it.
        // The audit's is to look for them.
        if ["endpoint", "xlat", "audit"].iter().any(|name| room.ends_with(name)) || !room.join("src").exists()
        {
            continue;
        }
        let mut files = Vec::new();
        sources(&room.join("src"), &mut files);
        // DHCPv4 is IPv4's, as DHCPv6 and ND are IPv6's, and so are the kernel's tables of each: addresses of one family, and nothing
        // branches on that.
        files.retain(|file| {
            !file
                .components()
                .any(|part| ["v4", "v4.rs", "dhcpv4"].iter().any(|name| part.as_os_str() == *name))
        });
        // NAT64, and the CLAT with its island; what traces other programs and judges their use of families names them;
        // the queues' classifier reads the headers of packets; softwires are options about IPv4 over IPv6.
        let apart = ["/nat64", "/clat", "island.rs", "/wrap/", "/trace/", "/classify/", "softwire.rs"];
        files.retain(|file| !apart.iter().any(|name| file.to_string_lossy().contains(name)));
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source");
            let explicit = |line: &&str| EXPLICIT.iter().any(|word| line.contains(word));
            hits.extend(text.lines().filter(explicit).map(|line| format!("{}: {line}", file.display())));
        }
    }
    assert!(!hits.is_empty(), "the search found its own crates");
    assert!(hits.len() <= SCREEN, "{} lines:\n{}", hits.len(), hits.join("\n"));
}
