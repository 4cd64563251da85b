//! An independent dissector reads what the Neighbour Discovery builder writes.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "each test needs a part of it")]
#[path = "common/dissect.rs"]
mod dissect;

use dissect::tshark;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::{Builder, INFINITY, Preference, PrefixInformation, RouterAdvertisementHeader};
use std::net::Ipv6Addr;

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const DESTINATION: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

/// Each of the messages as a packet.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let packets = messages.iter().map(|message| dissect::icmpv6((SOURCE, DESTINATION), message));
    dissect::capture(&packets.collect::<Vec<_>>())
}

fn messages() -> Vec<Vec<u8>> {
    let mut buffer = [0; 1240];
    let mut messages = Vec::new();
    let prefix = PrefixInformation {
        address: "2001:db8:0:1::".parse().unwrap(),
        length: 64,
        on_link: true,
        autonomous: true,
        router_address: false,
        pd_preferred: true,
        valid: 5400,
        preferred: 2700,
    };
    let header = RouterAdvertisementHeader {
        hop_limit: 64,
        managed: true,
        other: true,
        preference: Preference::High,
        router_lifetime: 1800,
        reachable_time: 30_000,
        retrans_timer: 1000,
    };
    let mut b = Builder::router_advertisement(&mut buffer, &header);
    b.source_link_layer(&[2, 0, 0, 0, 0, 1])
        .mtu(1492)
        .prefix_information(&prefix)
        .prefix_information(&PrefixInformation { valid: INFINITY, preferred: 0, autonomous: false, ..prefix })
        .route_information(net("::/0"), Preference::Low, 900)
        .route_information(net("fd00::/8"), Preference::Medium, INFINITY)
        .route_information(net("2001:db8:0:0:8000::/65"), Preference::High, 0)
        .rdnss(1800, &["fe80::53".parse().unwrap(), "2001:db8::53".parse().unwrap()])
        .dnssl(1800, &["lan.example", "home.arpa"])
        .captive_portal("https://portal.example/api")
        .pref64(net("64:ff9b::/96"), 1800);
    messages.push(b.finish().unwrap().to_vec());
    for length in [32, 40, 48, 56, 64] {
        let mut b = Builder::router_advertisement(&mut buffer, &RouterAdvertisementHeader::default());
        b.pref64(net(&format!("2001:db8::/{length}")), 65_528);
        messages.push(b.finish().unwrap().to_vec());
    }
    let mut b = Builder::router_solicitation(&mut buffer);
    b.source_link_layer(&[2, 0, 0, 0, 0, 1]);
    messages.push(b.finish().unwrap().to_vec());
    let mut b = Builder::neighbor_solicitation(&mut buffer, SOURCE);
    b.source_link_layer(&[2, 0, 0, 0, 0, 1]).nonce(&[1, 2, 3, 4, 5, 6]);
    messages.push(b.finish().unwrap().to_vec());
    let mut b = Builder::neighbor_advertisement(&mut buffer, SOURCE, true, false, true);
    b.target_link_layer(&[2, 0, 0, 0, 0, 1]);
    messages.push(b.finish().unwrap().to_vec());
    let mut inner = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
    inner.extend(SOURCE.octets());
    inner.extend(SOURCE.octets());
    let mut b = Builder::redirect(&mut buffer, SOURCE, "2001:db8::9".parse().unwrap());
    b.target_link_layer(&[2, 0, 0, 0, 0, 1]).redirected_header(&inner);
    messages.push(b.finish().unwrap().to_vec());
    messages
}

#[test]
fn tshark_finds_nothing_malformed_and_reads_what_was_meant() {
    let messages = messages();
    let path = std::env::temp_dir().join(format!("sixgate-ndp-{}.pcap", std::process::id()));
    std::fs::write(&path, capture(&messages)).unwrap();

    // It does complain of a broken copy: the check can fail.
    let mut broken = messages[0].clone();
    broken[17] = 99;
    let broken_path = path.with_extension("broken.pcap");
    std::fs::write(&broken_path, capture(&[broken])).unwrap();
    let complaints =
        "_ws.malformed || _ws.expert.severity >= \"Warning\" || icmpv6.checksum.status != \"Good\"";
    assert!(!tshark(&broken_path, &["-Y", complaints]).is_empty());
    assert_eq!(tshark(&path, &["-Y", complaints, "-V"]), "");
    assert_eq!(tshark(&path, &[]).lines().count(), messages.len());

    let fields = [
        ("icmpv6.type", "134"),
        ("icmpv6.nd.ra.cur_hop_limit", "64"),
        ("icmpv6.nd.ra.router_lifetime", "1800"),
        ("icmpv6.nd.ra.reachable_time", "30000"),
        ("icmpv6.nd.ra.retrans_timer", "1000"),
        ("icmpv6.nd.ra.flag", "0xc8"),
        ("icmpv6.opt.linkaddr", "02:00:00:00:00:01"),
        ("icmpv6.opt.mtu", "1492"),
        ("icmpv6.opt.prefix.valid_lifetime", "5400,4294967295"),
        ("icmpv6.opt.prefix.preferred_lifetime", "2700,0"),
        ("icmpv6.opt.route_lifetime", "900,4294967295,0"),
        ("icmpv6.opt.rdnss", "fe80::53,2001:db8::53"),
        ("icmpv6.opt.dnssl", "lan.example,home.arpa"),
    ];
    let mut arguments = vec!["-Y", "frame.number == 1", "-T", "fields", "-E", "separator=;"];
    for (name, _) in fields {
        arguments.extend(["-e", name]);
    }
    let line = tshark(&path, &arguments);
    let found: Vec<_> = fields.iter().map(|f| f.0).zip(line.trim_end().split(';')).collect();
    assert_eq!(found, fields);

    let text = tshark(&path, &["-V"]);
    for part in
        ["64:ff9b::", "https://portal.example/api", "Default Router Preference): High", "Redirected Packet"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(broken_path).unwrap();
}
