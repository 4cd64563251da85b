//! The same packets given to us and to tayga: where we differ, it is for a reason of this list.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod packets;
mod reasons;

use common::{Ip4, Ip6, NOW, run, udp};
use sixgate_endpoint::nat64::Prefix;
use sixgate_lab::{Command, Lab, root_for_tests, wait_for};
use sixgate_xlat::{AddressMap, Config, ErrorRate, Mapping, Siit};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const CONFIG: &str = "
tun-device nat64
ipv4-addr 192.0.2.254
ipv6-addr 2001:db8::fe
prefix 2001:db8:64::/96
map 192.0.2.1 2001:db8:1::1
map 198.18.0.0/24 2001:db8:2::/120
";

/// The same for us.
fn siit() -> Siit {
    let mapping = |v4: &str, v6: &str| Mapping::new(v4.parse().unwrap(), v6.parse().unwrap()).unwrap();
    let mappings =
        [mapping("192.0.2.1/32", "2001:db8:1::1/128"), mapping("198.18.0.0/24", "2001:db8:2::/120")];
    let prefix = Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap();
    let config = Config {
        errors: ErrorRate { burst: u32::MAX, interval: Duration::ZERO },
        ..Config::new("192.0.2.254".parse().unwrap(), "2001:db8::fe".parse().unwrap())
    };
    Siit::new(config, AddressMap::new(Some(prefix), mappings).unwrap(), fastrand::Rng::with_seed(1))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// What tayga makes of each packet.
fn tayga(packets: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    root_for_tests().unwrap();
    let lab = Lab::new("xlat").unwrap();
    let host = lab.host("nat64").unwrap();
    host.write_file("/run/tayga.conf", CONFIG).unwrap();
    let marker = common::ip4("192.0.2.9", "192.0.2.8", common::UDP, udp(1, 2, 3)).sealed();
    let lines: Vec<String> =
        [marker.octets()].iter().chain(packets).map(|packet| hex(packet) + "\n").collect();
    host.write_file("/run/packets", lines.concat()).unwrap();
    host.write_file("/run/exchange.py", include_str!("exchange.py")).unwrap();
    let daemon = Command::new("tayga").args(["--nodetach", "--config", "/run/tayga.conf"]);
    let _daemon =
        host.spawn(&daemon).expect("tayga is needed for this test: install the package of that name");
    wait_for("tayga's interface", Duration::from_secs(10), || {
        host.run(|| std::path::Path::new("/proc/sys/net/ipv6/conf/nat64").exists())
    })
    .unwrap();
    // The kernel itself shall say nothing there.
    host.sysctl("net/ipv6/conf/nat64/disable_ipv6", "1").unwrap();
    host.set_up("nat64", true).unwrap();
    let exchange =
        Command::new("python3").args(["/run/exchange.py", "nat64", "/run/packets", "/run/answers"]);
    host.spawn(&exchange).unwrap().wait(Duration::from_mins(2)).unwrap();
    let answers = host.read_file("/run/answers").unwrap();
    answers.lines().map(|line| line.split_whitespace().map(octets).collect()).collect()
}

/// What cannot be the same: identifications that are made up.
fn without_identification(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 {
        let mut plain = Ip4::parse(&packet);
        if !plain.mf && plain.offset == 0 {
            plain.id = 0;
        }
        if plain.protocol == 1 && matches!(plain.body[0], 3 | 11 | 12) && plain.body.len() >= 28 {
            // The packet within was IPv6.
            plain.body[12..14].fill(0);
            plain.body[18..20].fill(0);
            plain.body[2..4].fill(0);
        }
        packet = plain.octets();
    }
    packet
}

#[test]
fn as_tayga() {
    let packets = packets::all(20_000);
    let theirs = tayga(&packets);
    assert_eq!(theirs.len(), packets.len());
    let mut siit = siit();
    let mut same = 0;
    let mut same_translated = 0;
    let mut reasons = BTreeMap::<&str, usize>::new();
    let mut unexplained = Vec::new();
    for (packet, theirs) in packets.iter().zip(&theirs) {
        let ours = run(packet, |packet, actions| siit.translate(NOW, packet, actions));
        let plain =
            |sent: &[Vec<u8>]| sent.iter().map(|sent| without_identification(sent)).collect::<Vec<_>>();
        if plain(&ours.sent) == plain(theirs) {
            same += 1;
            same_translated += usize::from(!theirs.is_empty());
            continue;
        }
        let case = reasons::Case { packet, verdict: ours.verdict, ours: &ours.sent, theirs };
        match reasons::REASONS.iter().find(|(_, holds)| holds(&case)) {
            Some((reason, _)) => *reasons.entry(reason).or_default() += 1,
            None => unexplained.push(format!(
                "{}\n  ours {:?}\n{}  theirs\n{}",
                show(packet),
                ours.verdict,
                ours.sent.iter().fold(String::new(), |text, sent| text + "    " + &show(sent) + "\n"),
                theirs.iter().fold(String::new(), |text, sent| text + "    " + &show(sent) + "\n"),
            )),
        }
    }
    println!("{same} the same, {same_translated} of them translated; {reasons:#?}");
    let shown: Vec<_> = unexplained.iter().take(12).cloned().collect();
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), shown.join("\n"));
    for (reason, _) in reasons::REASONS {
        assert!(reasons.contains_key(reason), "no longer a difference: {reason}");
    }
    assert!(same_translated > packets.len() / 3, "{same_translated}");
}

fn show(packet: &[u8]) -> String {
    let start: String = hex(&packet[..packet.len().min(120)]);
    match packet[0] >> 4 {
        4 if packet.len() >= 20 && packet.len() >= usize::from(packet[0] & 15) * 4 => {
            let Ip4 { id, df, mf, offset, ttl, protocol, source, destination, options, body, .. } =
                Ip4::parse(packet);
            format!(
                "{source} > {destination} proto {protocol} id {id:x} df {df} mf {mf} off {offset} ttl {ttl} opt {options:x?} len {} {start}",
                body.len()
            )
        }
        6 if packet.len() >= 40 => {
            let Ip6 { hops, source, destination, extensions, protocol, body, .. } = Ip6::parse(packet);
            format!(
                "{source} > {destination} proto {protocol} hops {hops} ext {extensions:x?} len {} {start}",
                body.len()
            )
        }
        _ => start,
    }
}
