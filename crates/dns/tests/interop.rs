//! Stock programs on both sides: `dig` asks, `dnsmasq` is the upstream, each over the IPv6 loopback of a
//! network namespace.
//!
//! The test starts itself again under `unshare`, so that nothing here reaches the host's own network.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edge;

use core::time::Duration;
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use edge::{Edge, inside};
use sixgate_dns::{Config, Dns64, Names};
use sixgate_endpoint::nat64::Prefix;

const UPSTREAM: u16 = 5300;

struct Dnsmasq(Child);

impl Dnsmasq {
    fn start(records: &[&str]) -> Self {
        let child = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--pid-file",
            ])
            .args(["--user=root", "--group=root", "--bind-interfaces", "--listen-address=::1"])
            .args(["--local-ttl=60", "--local=/example.net/"])
            .arg(format!("--port={UPSTREAM}"))
            .args(records)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("::1", UPSTREAM)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "dnsmasq does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }

    fn stop(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `dig` prints when it asks the forwarder.
fn dig(port: u16, args: &[&str]) -> String {
    let output = Command::new("dig")
        .args(["@::1", "-p", &port.to_string(), "+tries=1", "+timeout=9"])
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Warning") && !text.contains("malformed"), "{text}");
    text
}

/// The answer section: TTL and the rest of each record.
fn answers(text: &str) -> Vec<(u32, String)> {
    let section = text.split(";; ANSWER SECTION:\n").nth(1).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let ttl = words.next().unwrap().parse().unwrap();
        (ttl, words.skip(1).collect::<Vec<_>>().join(" "))
    };
    section.lines().take_while(|line| !line.is_empty()).map(line).collect()
}

#[track_caller]
fn has(text: &str, part: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(part), "no {part:?} in\n{text}");
}

#[test]
fn dig_and_dnsmasq() {
    if !inside("dig_and_dnsmasq") {
        return;
    }
    let large = format!("--txt-record=big.example.net{}", format!(",{}", "t".repeat(250)).repeat(12));
    let records = ["--host-record=www.example.net,192.0.2.80,2001:db8:80::80", large.as_str()];
    let dnsmasq = Dnsmasq::start(&records);
    let mut names = Names::new(&["2001:db8:5::/64".parse().unwrap()]);
    names.set_gateway(&["2001:db8:5::1".parse().unwrap()]);
    names.set(b"x", "Printer", &["2001:db8:5::9".parse().unwrap()]).unwrap();
    let port = 5353;
    let upstream = format!("[::1]:{UPSTREAM}").parse().unwrap();
    let edge = Edge::start(port, Config::default(), &[upstream], names);

    // Through to the upstream, and from the cache with what is left of the TTL.
    let text = dig(port, &["www.example.net", "AAAA"]);
    assert_eq!(answers(&text), [(60, "AAAA 2001:db8:80::80".to_owned())], "{text}");
    has(&text, "flags: qr rd ra;");
    has(&text, "udp: 1232");
    let before = edge.counters();
    edge.skip(Duration::from_secs(20));
    let text = dig(port, &["WWW.example.net", "AAAA", "+cookie"]);
    let kept = answers(&text);
    assert!((35..=40).contains(&kept[0].0), "{text}");
    let after = edge.counters();
    assert_eq!((after.hits, after.upstream_queries), (before.hits + 1, before.upstream_queries));
    let text = dig(port, &["www.example.net", "A", "+noedns"]);
    assert_eq!(answers(&text), [(60, "A 192.0.2.80".to_owned())], "{text}");
    assert!(!text.contains("EDNS"));

    // Too large for UDP on either side.
    let text = dig(port, &["big.example.net", "TXT", "+ignore"]);
    has(&text, "flags: qr tc rd ra;");
    let text = dig(port, &["big.example.net", "TXT"]);
    has(&text, "Truncated, retrying in TCP mode");
    assert!(answers(&text)[0].1.len() > 3_000, "{text}");
    assert_eq!(edge.counters().upstream_tcp, 1);
    has(&dig(port, &["www.example.net", "AAAA", "+tcp"]), "2001:db8:80::80");

    // Denials.
    has(&dig(port, &["none.example.net", "AAAA"]), "status: NXDOMAIN");
    let text = dig(port, &["www.example.net", "MX"]);
    has(&text, "status: NOERROR");
    has(&text, "ANSWER: 0");

    // What the gateway answers itself.
    let text = dig(port, &["printer.home.arpa", "AAAA"]);
    has(&text, "flags: qr aa rd ra;");
    assert_eq!(answers(&text)[0].1, "AAAA 2001:db8:5::9");
    assert_eq!(answers(&dig(port, &["-x", "2001:db8:5::9"]))[0].1, "PTR printer.home.arpa.");
    assert_eq!(answers(&dig(port, &["-x", "2001:db8:5::1"]))[0].1, "PTR gateway.home.arpa.");
    let text = dig(port, &["-x", "2001:db8:5::a"]);
    has(&text, "status: NXDOMAIN");
    has(&text, "SOA gateway.home.arpa. nobody.invalid.");
    has(&dig(port, &["other.home.arpa", "AAAA"]), "status: NXDOMAIN");
    has(&dig(port, &["printer.home.arpa", "A"]), "status: NOERROR");
    has(&dig(port, &["ch", "txt", "version.bind"]), "status: REFUSED");
    has(&dig(port, &["www.example.net", "ANY", "+notcp"]), "HINFO \"RFC8482\" \"\"");
    has(&dig(port, &["www.example.net", "+edns=1", "+noednsnegotiation"]), "status: BADVERS");
    has(&dig(port, &["www.example.net", "+opcode=status"]), "status: NOTIMP");

    // The upstream goes away: what is known stays, however old; the rest is said plainly, and at once.
    dnsmasq.stop();
    edge.skip(Duration::from_mins(2));
    let started = Instant::now();
    let text = dig(port, &["www.example.net", "AAAA"]);
    has(&text, "EDE: 3 (Stale Answer)");
    assert_eq!(answers(&text)[0].0, 30);
    let text = dig(port, &["new.example.net", "AAAA"]);
    has(&text, "status: SERVFAIL");
    has(&text, "EDE: 23 (Network Error): (the upstream resolvers cannot be reached)");
    assert!(started.elapsed() < Duration::from_secs(3), "refused connections need no timeout");
    let _dnsmasq = Dnsmasq::start(&records);
    edge.skip(Duration::from_mins(1));
    has(&dig(port, &["www.example.net", "AAAA"]), "2001:db8:80::80");
    has(&dig(port, &["new.example.net", "AAAA"]), "status: NXDOMAIN");
}

#[test]
fn a_silent_upstream() {
    if !inside("a_silent_upstream") {
        return;
    }
    let silent = UdpSocket::bind("[::1]:5301").unwrap();
    let _dnsmasq = Dnsmasq::start(&["--host-record=www.example.net,2001:db8:80::80"]);
    let silent = silent.local_addr().unwrap().into();
    Edge::start(5353, Config::default(), &[silent], Names::new(&[]));
    let started = Instant::now();
    let text = dig(5353, &["www.example.net", "AAAA"]);
    has(&text, "status: SERVFAIL");
    has(&text, "EDE: 22 (No Reachable Authority): (no upstream resolver answers)");
    assert!(started.elapsed() < Duration::from_secs(5), "before a stub asks again");
    has(&dig(5353, &["www.example.net", "AAAA"]), "EDE: 13 (Cached Error)");

    // With another that answers, nobody notices.
    let upstream = format!("[::1]:{UPSTREAM}").parse().unwrap();
    Edge::start(5354, Config::default(), &[silent, upstream], Names::new(&[]));
    let started = Instant::now();
    has(&dig(5354, &["www.example.net", "AAAA"]), "2001:db8:80::80");
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// The status and the data of each answer, in an order that does not matter.
fn told(port: u16, args: &[&str]) -> String {
    let text = dig(port, args);
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("none");
    let mut data: Vec<String> = answers(&text).into_iter().map(|(_, data)| data).collect();
    data.sort_unstable();
    format!("{status} {}", data.join(" ")).trim_end().to_owned()
}

/// What is asked for, and what is told.
const ASKED: [(&[&str], &str); 14] = [
    (&["v6.example.net", "AAAA"], "NOERROR AAAA 2001:db8:80::80"),
    (&["v4.example.net", "AAAA"], "NOERROR AAAA 64:ff9b::808:808"),
    (&["v4.example.net", "A"], "NOERROR A 8.8.8.8"),
    (&["both.example.net", "AAAA"], "NOERROR AAAA 2001:db8:80::81"),
    (&["alias.example.net", "AAAA"], "NOERROR AAAA 64:ff9b::808:808 CNAME v4.example.net."),
    (&["none.example.net", "AAAA"], "NXDOMAIN"),
    (&["text.example.net", "AAAA"], "NOERROR"),
    (&["mapped.example.net", "AAAA"], "NOERROR AAAA 64:ff9b::909:909"),
    (&["private.example.net", "AAAA"], "NOERROR"),
    (&["v4.example.net", "AAAA", "+dnssec"], "NOERROR AAAA 64:ff9b::808:808"),
    (&["v4.example.net", "AAAA", "+dnssec", "+cdflag"], "NOERROR"),
    (&["v4.example.net", "AAAA", "+cdflag"], "NOERROR AAAA 64:ff9b::808:808"),
    (&["-x", "64:ff9b::808:808"], "NOERROR CNAME 8.8.8.8.in-addr.arpa. PTR v4.example.net."),
    (&["ipv4only.arpa", "AAAA"], "NOERROR AAAA 64:ff9b::c000:aa AAAA 64:ff9b::c000:ab"),
];

fn v4_upstream() -> Dnsmasq {
    Dnsmasq::start(&[
        "--host-record=v6.example.net,2001:db8:80::80",
        "--host-record=v4.example.net,8.8.8.8",
        "--host-record=both.example.net,1.1.1.1,2001:db8:80::81",
        "--cname=alias.example.net,v4.example.net",
        "--txt-record=text.example.net,words",
        "--host-record=mapped.example.net,9.9.9.9,::ffff:9.9.9.9",
        "--host-record=private.example.net,192.168.1.1",
    ])
}

#[test]
fn dns64_as_dig_sees_it() {
    if !inside("dns64_as_dig_sees_it") {
        return;
    }
    let _dnsmasq = v4_upstream();
    let config = Config { dns64: Some(Dns64::new(Prefix::WELL_KNOWN)), ..Config::default() };
    let upstream = format!("[::1]:{UPSTREAM}").parse().unwrap();
    let edge = Edge::start(5353, config, &[upstream], Names::new(&[]));
    for transport in ["+notcp", "+tcp"] {
        for (asked, expected) in ASKED {
            assert_eq!(told(5353, &[&[transport], asked].concat()), expected, "{asked:?}");
        }
    }
    let text = dig(5353, &["v4.example.net", "AAAA", "+dnssec"]);
    has(&text, "flags: qr rd ra;");
    let counters = edge.counters();
    assert_eq!(
        (counters.dns64_synthesised, counters.dns64_withheld),
        (11, 2),
        "five names, twice, and one more"
    );
    assert_eq!((counters.dns64_pointers, counters.dns64_discoveries), (2, 2));
}
