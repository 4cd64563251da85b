//! The documented regular expression, on what is printed.

use sixgate_endpoint::{Endpoint, LOG_REGEX, Zone};
use std::fmt::Write as _;

/// A random endpoint, of every shape that is printed differently.
fn endpoint(rng: &mut fastrand::Rng) -> Endpoint {
    let bits = rng.u128(..);
    let endpoint = match rng.u8(..10) {
        0..3 => Endpoint::new(std::net::Ipv4Addr::from_bits(bits as u32)),
        3 => Endpoint::new(std::net::Ipv6Addr::from_bits(bits)),
        // Zeros in every place.
        4 => {
            let mask: u128 = (0..8).filter(|_| rng.bool()).map(|group| 0xffff << (16 * group)).sum();
            Endpoint::new(std::net::Ipv6Addr::from_bits(bits & mask))
        }
        5 => Endpoint::new(std::net::Ipv6Addr::from_bits(bits >> rng.u32(..128))),
        6 => Endpoint::new(std::net::Ipv6Addr::from_bits(bits & 0xffff | 0xff02 << 112)),
        _ => Endpoint::new(std::net::Ipv6Addr::from_bits(bits >> 64 | 0xfe80 << 112)),
    };
    let endpoint = match rng.u8(..3) {
        0 => endpoint,
        1 => Zone::from_index(rng.u32(..)).map_or(endpoint, |zone| endpoint.with_zone(zone)),
        _ => {
            const PLAIN: &[u8] = b"abcxyzABCXYZ0123456789._-+@~";
            let name: String =
                (0..rng.usize(1..=15)).map(|_| char::from(PLAIN[rng.usize(..PLAIN.len())])).collect();
            match Zone::from_name(&name) {
                Some(zone) => endpoint.with_zone(zone),
                None => endpoint,
            }
        }
    };
    if rng.bool() { endpoint.with_port(rng.u16(..)) } else { endpoint }
}

/// What stands around endpoints in a line, and holds none.
const AROUND: [(&str, &str); 10] = [
    ("peer=", " tries=3"),
    (
        "2026-11-25T15:00:54.123456Z INFO sixgate::up: from ",
        " mac=02:00:5e:10:00:01 duid=00:01:00:01:2c:aa:bb:cc:02:00",
    ),
    ("", ""),
    ("{\"peer\":\"", "\",\"version\":\"1.2.3\",\"at\":\"15:00:54\"}"),
    ("(", ")"),
    ("<", ">"),
    ("server ", ", and so on"),
    ("15:00:54 addr=", "\tlen=28"),
    ("no answer from ", "."),
    ("", ":error"),
];

#[test]
fn a_million_endpoints_are_found_in_log_lines_and_taken_apart() {
    let regex = regex::Regex::new(LOG_REGEX).unwrap();
    let mut rng = fastrand::Rng::with_seed(6);
    let mut left = 1_000_000;
    let mut line = String::new();
    while left > 0 {
        let there: Vec<Endpoint> = (0..rng.usize(1..4)).map(|_| endpoint(&mut rng)).collect();
        left -= there.len().min(left);
        line.clear();
        for endpoint in &there {
            let (before, after) = AROUND[rng.usize(..AROUND.len())];
            write!(line, "{before}{endpoint}{after} ").unwrap();
            // And the whole is read again as it was.
            assert_eq!(endpoint.text().as_str().parse(), Ok(*endpoint));
        }
        let found: Vec<Endpoint> = regex
            .captures_iter(&line)
            .map(|found| {
                let address: std::net::IpAddr = found["address"].parse().unwrap();
                let zone = found.name("zone").map(|zone| Zone::from_name(zone.as_str()).unwrap());
                let port: Option<u16> = found.name("port").map(|port| port.as_str().parse().unwrap());
                let endpoint =
                    zone.map_or(Endpoint::new(address), |zone| Endpoint::new(address).with_zone(zone));
                port.map_or(endpoint, |port| endpoint.with_port(port))
            })
            .collect();
        assert_eq!(found, there, "{line}");
    }
}

#[test]
fn what_is_no_endpoint_is_not_found() {
    let regex = regex::Regex::new(LOG_REGEX).unwrap();
    for line in [
        "2026-11-25T15:00:54Z started in 00:01:02",
        "mac=02:00:5e:10:00:01 duid=00:01:00:01:2c:aa:bb:cc:02:00:5e:10:00:01",
        "kernel 6.1.0-13 sixgate 0.1.0 rustls::conn::Client std::net",
        "prefix length 64, 3.5 %, 10:20",
        "file.rs:10:5: note",
        "dec::decode add::add_all face::Face x=10.20.30.400x",
    ] {
        assert!(regex.find(line).is_none(), "{line}");
    }
}

/// Other programs' engines read it too: Python's and PCRE's, which scripts have at hand.
#[test]
fn python_and_grep_take_it() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let line = "refused peer=[fe80::1%eth0]:546 from 192.0.2.1 at 15:00:54\n";
    let run = |program: &str, arguments: &[&str]| {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let script = "import re, sys\nfor found in re.finditer(sys.argv[1], sys.stdin.read()): print(*found.group('address', 'zone', 'port'))";
    assert_eq!(run("python3", &["-c", script, LOG_REGEX]), "fe80::1 eth0 546\n192.0.2.1 None None\n");
    assert_eq!(run("grep", &["-oP", LOG_REGEX]), "=[fe80::1%eth0]:546\n 192.0.2.1\n");
}
