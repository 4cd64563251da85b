//! Frames written by hand, and what is kept, told and found of them.

use super::capture::{Capture, Choice};
use super::judge::{Verdict, judge};
use super::story::story;
use std::net::Ipv6Addr;
use std::time::Duration;

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 7];
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const ALL: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const CHOICE: Choice = Choice { host: HOST, names: false };

fn ip6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn ethernet(from: [u8; 6], to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// A packet of IPv6 in a frame.
fn packet(from: [u8; 6], to: [u8; 6], source: &str, protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let header = [&[0x60, 0, 0, 0], &length[..], &[protocol, hop_limit]].concat();
    let addresses = [ip6(source).octets(), ip6("ff02::1").octets()].concat();
    ethernet(from, to, 0x86dd, &[header, addresses, payload.to_vec()].concat())
}

fn solicits(source: &str, target: &str) -> Vec<u8> {
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &ip6(target).octets()].concat();
    packet(HOST, ALL, source, 58, 255, &message)
}

fn router_solicitation(hop_limit: u8) -> Vec<u8> {
    packet(HOST, ALL, "fe80::7", 58, hop_limit, &[133, 0, 0, 0, 0, 0, 0, 0])
}

/// With 2001:db8:1::/64, from which hosts form addresses.
fn advertisement() -> Vec<u8> {
    let head = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let prefix = [&[3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, 0, 0, 0, 0][..], &ip6("2001:db8:1::").octets()];
    packet(ROUTER, ALL, "fe80::1", 58, 255, &[&head[..], &prefix.concat()].concat())
}

fn dns(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    let udp = [0x9c, 0x40, 0, 53, 0, 20, 0, 0];
    packet(from, to, "2001:db8:1::7", 17, 64, &[&udp[..], b"a secret name"].concat())
}

/// What is found of frames, each with its milliseconds: the rules that were not kept, with their frames, and those that were.
fn found(frames: &[(u64, Vec<u8>)]) -> (Vec<(&'static str, Vec<usize>)>, Vec<&'static str>) {
    let mut capture = Capture::default();
    for (at, bytes) in frames {
        capture.hear(CHOICE, Duration::from_millis(1_000_000 + at), bytes);
    }
    let findings = judge(&story(&capture.frames, HOST));
    let of = |verdict| findings.iter().filter(move |finding| finding.verdict == verdict);
    let violated = of(Verdict::Violated).map(|finding| (finding.rule, finding.frames.clone())).collect();
    (violated, of(Verdict::Kept).map(|finding| finding.rule).collect())
}

#[test]
fn a_host_that_does_as_it_should_is_found_to() {
    let (violated, kept) = found(&[
        (0, solicits("::", "fe80::7")),
        (1_000, router_solicitation(255)),
        (1_010, advertisement()),
        (1_500, solicits("::", "2001:db8:1::7")),
        (2_600, solicits("2001:db8:1::7", "2001:db8:1::1")),
        (5_200, router_solicitation(255)),
        (9_000, dns(HOST, ROUTER)),
    ]);
    assert_eq!(violated, []);
    assert_eq!(kept, ["duplicates", "forms-an-address", "solicits-calmly", "hop-limit"]);
}

#[test]
fn what_is_not_kept_is_found_by_its_frames() {
    let (violated, _) = found(&[
        (0, solicits("::", "fe80::7")),
        (10, advertisement()),
        (1_000, router_solicitation(255)),
        (2_000, router_solicitation(64)),
        (3_000, solicits("2001:db8:2::7", "2001:db8:2::1")),
        (9_000, dns(HOST, ROUTER)),
    ]);
    let expected = [
        ("duplicates", vec![5, 6]),
        ("forms-an-address", vec![2]),
        ("solicits-calmly", vec![4]),
        ("hop-limit", vec![4]),
    ];
    assert_eq!(violated, expected);
}

#[test]
fn what_was_not_heard_is_not_said() {
    // It was there already: nobody knows what it looked for before.
    let (violated, kept) = found(&[(0, advertisement()), (9_000, dns(HOST, ROUTER))]);
    assert_eq!((violated, kept), (vec![], vec![]));
    assert_eq!(found(&[]), (vec![], vec![]));
}

#[test]
fn others_and_names_are_left_out() {
    let mut capture = Capture::default();
    let mut hear = |choice, bytes: &[u8]| {
        let before = capture.frames.len();
        capture.hear(choice, Duration::from_secs(1), bytes);
        capture.frames.get(before).map(|frame| frame.bytes.len())
    };
    let question = dns(HOST, ROUTER);
    assert_eq!(hear(CHOICE, &question), Some(14 + 40 + 8));
    assert_eq!(hear(Choice { names: true, ..CHOICE }, &question), Some(question.len()));
    assert_eq!(hear(CHOICE, &dns(OTHER, ROUTER)), None);
    assert_eq!(hear(CHOICE, &dns(ROUTER, OTHER)), None);
    let arp = |from: [u8; 6]| {
        let message =
            [&[0, 1, 8, 0, 6, 4, 0, 1][..], &from, &[192, 0, 2, 7], &[0; 6], &[192, 0, 2, 1]].concat();
        ethernet(from, [0xff; 6], 0x0806, &message)
    };
    assert!(hear(CHOICE, &arp(HOST)).is_some() && hear(CHOICE, &arp(OTHER)).is_none());
    // Hostile, cut off, of another kind.
    for length in 0..question.len() {
        let _ = hear(CHOICE, &question[..length]);
    }
    assert_eq!(hear(CHOICE, &ethernet(HOST, ROUTER, 0x88cc, b"LLDP")), None);
    story(&capture.frames, HOST);
}

#[test]
fn the_file_is_bounded_and_says_how_long_frames_were() {
    let mut capture = Capture::default();
    for _ in 0..3_000 {
        capture.hear(CHOICE, Duration::from_micros(1_234_567_890_123), &dns(HOST, ROUTER));
    }
    assert_eq!((capture.frames.len(), capture.over), (2_000, 1_000));
    let file = capture.pcap();
    assert_eq!(file.len(), 24 + 2_000 * (16 + 62));
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four octets"));
    assert_eq!((number(0), number(20)), (0xa1b2_c3d4, 1));
    assert_eq!([24, 28, 32, 36].map(number), [1_234_567, 890_123, 62, 75]);
    let mut capture = Capture::default();
    let long = packet(HOST, ROUTER, "fe80::7", 17, 64, &[&[0x9c, 0x40, 2, 34][..], &[0; 9_000]].concat());
    (0..200).for_each(|_| capture.hear(CHOICE, Duration::ZERO, &long));
    assert!(capture.over > 0 && capture.pcap().len() < (1 << 20) + 200 * 16 + 24);
}
