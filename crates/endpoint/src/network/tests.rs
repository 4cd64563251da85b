use super::message::{Messages, dump};
use super::*;

/// A message: type, flags, body.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn link(kind: u16, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0, 0, 1, 0];
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&flags.to_ne_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend(attributes.concat());
    message(kind, 0, &body)
}

fn address(kind: u16, last: u8, flags: u8, lifetime: u32) -> Vec<u8> {
    let mut body = vec![10, 64, flags, 0, 2, 0, 0, 0];
    let mut octets = [0x20; 16];
    octets[15] = last;
    body.extend(attribute(1, &octets));
    body.extend(attribute(6, &lifetime.to_ne_bytes().repeat(4)));
    message(kind, 0, &body)
}

fn route(kind: u16, flags: u16, gateway: u8, lifetime: u32) -> Vec<u8> {
    let mut body = vec![10, 0, 0, 0, 254, 9, 0, 1, 0, 0, 0, 0];
    body.extend(attribute(6, &1024_u32.to_ne_bytes()));
    body.extend(attribute(5, &[gateway; 16]));
    body.extend(attribute(12, &lifetime.to_ne_bytes().repeat(8)));
    message(kind, flags, &body)
}

fn news(known: &mut Known, datagram: &[u8]) -> bool {
    // Not `any`: all are to be learnt.
    Messages::new(datagram).fold(false, |changed, message| known.learn(&message) | changed)
}

const REPLACE: u16 = 0x100;

#[test]
fn a_refresh_is_no_news_and_a_return_to_what_was_is() {
    let mut known = Known::default();
    let mut step = |datagram: Vec<u8>| news(&mut known, &datagram);
    // Addresses.
    assert!(step(address(20, 1, 0x40, 100)));
    assert!(step(address(20, 1, 0, 100)), "detection of duplicates has ended");
    assert!(!step(address(20, 1, 0, 90)), "a lifetime");
    assert!(!step(address(20, 1, 0x80, 90)), "IFA_F_PERMANENT");
    assert!(step(address(20, 1, 0x20, 0)), "deprecated");
    assert!(step(address(20, 1, 0, 100)), "and preferred again");
    assert!(step(address(20, 2, 0, 100)), "another one");
    assert!(step(address(21, 1, 0, 100)));
    assert!(step(address(20, 1, 0, 100)), "it is back");
    // Links.
    let (up, down) = (0x1_0041, 0x1);
    assert!(step(link(16, 2, up, &[attribute(3, b"eth0\0")])));
    assert!(!step(link(16, 2, up | 0x100, &[attribute(3, b"eth0\0")])), "promiscuous");
    assert!(!step(link(16, 2, up, &[attribute(3, b"eth0\0"), attribute(7, &[1; 96])])), "counters");
    assert!(!step(link(16, 2, down, &[attribute(11, &[1; 8])])), "an event of a scan");
    assert!(step(link(16, 2, down, &[attribute(3, b"eth0\0")])));
    assert!(step(link(16, 2, up, &[attribute(3, b"eth0\0")])), "up again");
    // Routes.
    assert!(step(route(24, 0, 1, 100)));
    assert!(!step(route(24, 0, 1, 50)));
    assert!(step(route(24, 0, 2, 50)), "a second router");
    assert!(!step(route(24, 0, 1, 50)));
    assert!(!step(route(24, 0, 2, 50)));
    assert!(step(route(24, REPLACE, 3, 50)), "replaces both");
    assert!(!step(route(24, REPLACE, 3, 40)), "replaces itself");
    assert!(step(route(24, REPLACE, 1, 50)), "back to the first");
    assert!(step(route(25, 0, 1, 50)));
    assert!(step(route(24, 0, 1, 50)));
    // The kernel drops routes with their link, silently.
    assert!(step(link(16, 2, down, &[attribute(3, b"eth0\0")])));
    assert!(step(route(24, 0, 1, 50)), "it may be a new one");
    // Several in one datagram.
    assert!(step([route(24, 0, 1, 50), route(24, 0, 9, 50)].concat()));
    assert!(!step([route(24, 0, 1, 50), route(24, 0, 9, 50)].concat()));
    // What is none of these.
    assert!(!step(message(28, 0, &[0; 12])), "a neighbour");
    let mut cloned = route(24, 0, 77, 1);
    cloned[16 + 9] = 0x2;
    assert!(!step(cloned), "RTM_F_CLONED");
}

/// The route with the metric `metric`.
fn route_of(metric: u32) -> Vec<u8> {
    let mut octets = route(24, 0, 1, 1);
    octets[16 + 12 + 4..16 + 12 + 8].copy_from_slice(&metric.to_ne_bytes());
    octets
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut known = Known::default();
    let some = MAX_KNOWN as u32;
    for number in 0..2 * some {
        assert!(news(&mut known, &link(16, number, 1, &[])));
    }
    assert_eq!(known.links.len(), MAX_KNOWN);
    assert_eq!(known.unknown, MAX_KNOWN as u64);
    for metric in 0..2 * some {
        assert!(news(&mut known, &route_of(metric)));
    }
    assert_eq!((known.route_count, known.routes.len()), (MAX_KNOWN, MAX_KNOWN));
    assert_eq!(known.unknown, 2 * MAX_KNOWN as u64);
    for metric in 0..2 * some {
        assert_eq!(
            news(&mut known, &route_of(metric)),
            metric >= some,
            "what was not remembered is news again"
        );
    }
    known.forget();
    for gateway in 0..=255 {
        news(&mut known, &route(24, 0, gateway, 1));
    }
    assert_eq!(known.route_count, MAX_SIBLINGS);
    assert_eq!(known.routes.values().map(Vec::len).sum::<usize>(), MAX_SIBLINGS);
}

#[test]
fn no_octets_are_too_wrong() {
    let mut known = Known::default();
    let whole = [
        link(16, 2, 1, &[attribute(3, b"eth0\0"), attribute(7, &[1; 96])]),
        address(20, 1, 0, 1),
        route(24, 0, 1, 1),
        dump(18, 1),
    ]
    .concat();
    for length in 0..whole.len() {
        news(&mut known, &whole[..length]);
    }
    for at in 0..whole.len() {
        for value in [0, 1, 2, 3, 4, 15, 16, 17, 127, 128, 255] {
            let mut broken = whole.clone();
            broken[at] = value;
            assert!(Messages::new(&broken).count() <= 1 + whole.len() / 4);
            news(&mut known, &broken);
        }
    }
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..20_000 {
        let octets: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
        news(&mut known, &octets);
    }
}
