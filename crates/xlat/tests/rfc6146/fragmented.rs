//! RFC 6146 section 3.4: datagrams in pieces, in any order.

use super::common::{Ip4, Ip6, UDP, fragment, ip4, ip6, udp};
use super::{HOST, Lab, POOL, SERVER, SERVER6, SessionConfig, sessions};
use sixgate_xlat::{Discard, Verdict};
use std::time::Duration;

/// The pieces of a datagram of 3008 octets from inside.
fn pieces6(id: u32) -> [Vec<u8>; 3] {
    let whole = ip6(HOST, SERVER6, UDP, udp(5000, 53, 3000)).sealed();
    [(0, 1200), (1200, 2400), (2400, 3008)].map(|(from, to)| {
        let extensions = vec![fragment((from / 8) as u16, to != 3008, id)];
        Ip6 { extensions, body: whole.body[from..to].to_vec(), ..whole.clone() }.octets()
    })
}

fn pieces4(port: u16, id: u16) -> [Vec<u8>; 3] {
    let whole = ip4(SERVER, POOL, UDP, udp(53, port, 3000)).sealed();
    [(0, 1200), (1200, 2400), (2400, 3008)].map(|(from, to)| {
        let (offset, mf) = ((from / 8) as u16, to != 3008);
        Ip4 { id, mf, offset, body: whole.body[from..to].to_vec(), ..whole.clone() }.octets()
    })
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn in_every_order_both_ways() {
    for order in ORDERS {
        let mut lab = Lab::plain();
        let pieces = pieces6(0x7_0000 + 77);
        let mut out = Vec::new();
        for (number, &at) in order.iter().enumerate() {
            let outcome = lab.run(&pieces[at]);
            let first_was = order[..=number].contains(&0);
            let verdict = if first_was { Verdict::Translated } else { Verdict::Held };
            assert_eq!(outcome.verdict, verdict, "{order:?}");
            out.extend(outcome.sent);
        }
        let mut out: Vec<Ip4> = out.iter().map(|octets| Ip4::parse(octets)).collect();
        out.sort_by_key(|piece| piece.offset);
        assert!(out.iter().all(|piece| piece.id == 77));
        let mut whole = Ip4 { mf: false, ..out[0].clone() };
        whole.body = out.iter().flat_map(|piece| piece.body.clone()).collect();
        assert!(whole.sealed_as_is() && whole.body.len() == 3008);
        assert_eq!((lab.nat.usage().sessions, lab.nat.usage().fragment_octets), (1, 0));

        let port = u16::from_be_bytes([whole.body[0], whole.body[1]]);
        let pieces = pieces4(port, 99);
        let back: Vec<Vec<u8>> = order.iter().flat_map(|&at| lab.run(&pieces[at]).sent).collect();
        let mut back: Vec<Ip6> = back.iter().map(|octets| Ip6::parse(octets)).collect();
        back.sort_by_key(|piece| piece.fragment().unwrap().0);
        let mut whole = Ip6 { extensions: Vec::new(), ..back[0].clone() };
        whole.body = back.iter().flat_map(|piece| piece.body.clone()).collect();
        assert!(whole.sealed_as_is() && whole.body.len() == 3008);
        assert_eq!(whole.destination.to_string(), HOST);
    }
}

#[test]
fn what_waits_is_forgotten_and_bounded() {
    let mut lab = Lab::plain();
    assert_eq!(lab.run(&pieces6(1)[1]).verdict, Verdict::Held);
    assert_eq!(lab.nat.usage().fragment_octets, 1248);
    assert_eq!(lab.nat.poll_timeout(), Some(lab.now + Duration::from_secs(2)));
    lab.wait(Duration::from_secs(2));
    assert_eq!(lab.nat.usage().fragment_octets, 0);

    let mut lab = Lab::new(SessionConfig { fragmented: 8, fragment_octets: 10_000, ..sessions() });
    for id in 0..100 {
        assert_eq!(lab.run(&pieces6(id)[1]).verdict, Verdict::Held, "the oldest gives way");
        assert!(lab.nat.usage().fragment_octets <= 10_000);
    }
    assert_eq!(lab.nat.session_counters().fragments_evicted, 92);
    let mut held = 0;
    while lab.run(&pieces6(100)[2]).verdict == Verdict::Held {
        held += 1;
        assert!(held < 100);
    }
    assert_eq!(lab.refused(&pieces6(100)[2]), Discard::Fragments);
    let mut none = Lab::new(SessionConfig { fragmented: 0, ..sessions() });
    assert_eq!(none.refused(&pieces6(1)[1]), Discard::Fragments);
}

/// What was refused as a whole is so in its pieces.
#[test]
fn pieces_without_a_binding() {
    let mut lab = Lab::plain();
    let pieces = pieces4(4000, 5);
    assert_eq!(lab.run(&pieces[1]).verdict, Verdict::Held);
    assert_eq!(lab.refused(&pieces[0]), Discard::NoBinding);
    lab.wait(Duration::from_secs(2));
    assert_eq!(lab.nat.usage(), sixgate_xlat::Usage::default());
}
