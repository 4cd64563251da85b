//! Judges that we did not write, over the IPv6 loopback of a network namespace: unbound's validator, BIND's (delv) and
//! dnsmasq's.

use core::time::Duration;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sixgate_dns::{Anchors, Config, Dnssec, Names};

use super::edge::{Edge, inside};
use super::server::serve;
use super::sim::{DO, Told, query};
use super::tree::{CASES, Tree};

const UPSTREAM: u16 = 5300;
const OURS: u16 = 5353;
const THIRD: u16 = 5354;

/// Where a judge differs from us, and what the RFC says: name, type, their verdict. All else is the same.
type Differences = &'static [(&'static str, &'static str, &'static str)];

/// It throws the alias away that does not follow from the DNAME record, makes the right one and asks for its target (RFC
/// 6672 section 3.1); we pass on what came as a whole, or nothing of it.
const UNBOUND: Differences = &[
    ("bent.to.dname.tree", "A", "secure"),
    // It looks for revocation among its trust anchors alone. A key that says it is revoked is good for nothing but that (RFC
    // 5011 section 2.1).
    ("www.revoked.tree", "A", "secure"),
];

const DELV: Differences = &[
    // As unbound.
    ("bent.to.dname.tree", "A", "secure"),
    // With opt-out, AD must not be set (RFC 5155 section 9.2).
    ("none.opt", "A", "secure"),
    ("unsigned.opt", "DS", "secure"),
    ("any.w.wild.opt", "MX", "secure"),
    // It verifies Ed448, which is recommended (RFC 8624 section 3.1) and not here yet; what is not supported counts as not signed
    // (RFC 4035 section 5.2).
    ("www.ed448.tree", "A", "secure"),
];

/// Of dnsmasq 2.90, whose validator does less than the RFCs ask.
const DNSMASQ: Differences = &[
    ("none.opt", "A", "secure"),
    ("unsigned.opt", "DS", "secure"),
    ("any.w.wild.opt", "A", "secure"),
    ("any.w.wild.opt", "MX", "secure"),
    // As unbound, and as delv.
    ("www.revoked.tree", "A", "secure"),
    ("www.ed448.tree", "A", "secure"),
    // It takes GOST for supported and then cannot verify it; nobody has to (RFC 8624 section 3.1).
    ("www.gost.tree", "A", "bogus"),
    // The code is not signed: no such name, beside its signed data.
    ("code.forged.tree", "A", "secure"),
    // SHA-1 does not count beside SHA-256 (RFC 4509 section 3).
    ("www.badtwods.tree", "A", "secure"),
    // The alias that a DNAME record makes has no signature of its own (RFC 6672 section 5.3.1).
    ("www.to.dname.tree", "A", "bogus"),
    ("none.to.dname.tree", "A", "bogus"),
    ("mail.to.dname.tree", "A", "bogus"),
    ("www.tounsigned.dname.tree", "A", "bogus"),
    // Too many iterations: as if not signed (RFC 5155 section 10.3), or SERVFAIL (RFC 9276 section 3.2).
    ("none.costly.tree", "A", "bogus"),
    ("www.costly.tree", "MX", "bogus"),
    // A name that is there keeps a wildcard above it from standing for what is below (RFC 4592 section 2.2.1).
    ("closer.er.w.wild.tree", "A", "secure"),
    ("closer.er.w.wild.hash", "A", "secure"),
    // The name of a wildcard may be asked for (RFC 4592 section 2.2.1).
    ("*.w.wild.tree", "A", "bogus"),
];

/// What this judge is to say.
fn meant(differences: Differences, name: &str, kind: &str, expected: &'static str) -> &'static str {
    let own = differences.iter().find(|(of, with, _)| *of == name && *with == kind);
    own.map_or(expected, |(_, _, verdict)| verdict)
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// The tree behind its sockets.
fn tree() -> Arc<Tree> {
    let tree = Arc::new(Tree::new(u32::try_from(wall().as_secs()).unwrap()));
    serve(&tree, &format!("[::1]:{UPSTREAM}"));
    tree
}

/// Our forwarder before it.
fn forwarder(tree: &Tree) -> Edge {
    let dnssec = Some(Dnssec::new(Anchors::parse(&tree.anchor()).unwrap()));
    let upstream = format!("[::1]:{UPSTREAM}").parse().unwrap();
    let config = Config { dnssec, ..Config::default() };
    let edge = Edge::start(OURS, config, &[upstream], Names::new(&[]));
    edge.set_time(wall());
    edge
}

/// A file that goes with its owner.
struct File(std::path::PathBuf);

impl File {
    fn new(what: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dnssec-{}-{what}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a validator that serves on a port says of a name.
fn ask(port: u16, name: &str, kind: &str) -> Told {
    let address = ("::1", port);
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    super::edge::write_message(&mut stream, &query(name, kind, DO)).unwrap();
    Told::read(super::edge::read_message(&mut stream).unwrap())
}

/// All verdicts of unbound, in the order of the cases.
fn unbound(tree: &Tree) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dnssec/unbound.py");
    let mut child = Command::new("python3")
        .args([script, &format!("::1@{UPSTREAM}"), &tree.anchor()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for (name, kind, _) in CASES {
        writeln!(input, "{name} {kind}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn unbound_comes_to_the_same_verdicts() {
    if !inside("witnesses::unbound_comes_to_the_same_verdicts") {
        return;
    }
    let tree = tree();
    let _edge = forwarder(&tree);
    let theirs = unbound(&tree);
    assert_eq!(theirs.len(), CASES.len());
    let mut differ = Vec::new();
    for ((name, kind, expected), line) in CASES.iter().zip(&theirs) {
        let told = ask(OURS, name, kind);
        let words: Vec<&str> = line.split(' ').collect();
        // It follows an alias by itself, and so has a code of its own.
        let own_code = told.verdict() == "bogus" || *name == "code.alias.tree";
        let same_code = own_code || words[4] == told.code.to_string();
        if words[2] != meant(UNBOUND, name, kind, expected) || told.verdict() != *expected || !same_code {
            differ.push(format!(
                "{line}; ours {} {} {:?}, meant {expected}",
                told.verdict(),
                told.code,
                told.errors()
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// What delv says: `secure`, `insecure` or `bogus`.
fn delv(port: u16, anchors: &File, args: &[&str]) -> (&'static str, String) {
    let output = Command::new("delv")
        .args(["@::1", "-p", &port.to_string(), "-a", anchors.0.to_str().unwrap(), "+root=."])
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    // It prints one part after the other of a chain of aliases; a denial is a failure to it, of its own kind.
    let failed = text.lines().any(|line| line.contains("resolution failed:") && !line.contains("ncache"));
    let verdict = match (failed, text.contains("unsigned answer"), text.contains("fully validated")) {
        (false, true, _) => "insecure",
        (false, false, true) => "secure",
        _ => "bogus",
    };
    (verdict, text)
}

#[test]
fn delv_comes_to_the_same_verdicts_behind_us() {
    if !inside("witnesses::delv_comes_to_the_same_verdicts_behind_us") {
        return;
    }
    let tree = tree();
    let _edge = forwarder(&tree);
    let words: Vec<String> = tree.anchor().split(' ').map(str::to_owned).collect();
    let [_, _, _, tag, algorithm, digest, hash] = words.as_slice() else { panic!("{words:?}") };
    let text = format!("trust-anchors {{ . static-ds {tag} {algorithm} {digest} \"{hash}\"; }};\n");
    let anchors = File::new("anchors", &text);
    let mut differ = Vec::new();
    for (name, kind, expected) in CASES {
        // Through us: with CD we pass on what is bogus too, and it has to find all that a judge needs.
        let (verdict, text) = delv(OURS, &anchors, &["+cd", name, kind]);
        let meant = meant(DELV, name, kind, expected);
        if verdict != meant {
            let last = text.lines().last().unwrap_or_default();
            differ.push(format!("{name} {kind}: {verdict}, meant {meant}: {last}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

struct Dnsmasq(Child);

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn dnsmasq_comes_to_the_same_verdicts() {
    if !inside("witnesses::dnsmasq_comes_to_the_same_verdicts") {
        return;
    }
    let tree = tree();
    let words: Vec<String> = tree.anchor().split(' ').map(str::to_owned).collect();
    let anchor = format!("--trust-anchor=.,{}", words[3..].join(","));
    let child = Command::new("dnsmasq")
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"])
        .args(["--user=root", "--group=root", "--bind-interfaces", "--listen-address=::1", "--dnssec"])
        .args(["--dnssec-check-unsigned", &anchor, &format!("--port={THIRD}")])
        .arg(format!("--server=::1#{UPSTREAM}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _dnsmasq = Dnsmasq(child);
    let started = Instant::now();
    while std::net::TcpStream::connect(("::1", THIRD)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "dnsmasq does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut differ = Vec::new();
    for (name, kind, expected) in CASES {
        let told = ask(THIRD, name, kind);
        let meant = meant(DNSMASQ, name, kind, expected);
        if told.verdict() != meant {
            differ.push(format!("{name} {kind}: {} {}, meant {meant}", told.verdict(), told.code));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
