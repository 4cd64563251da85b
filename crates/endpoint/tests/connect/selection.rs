//! Destination address selection: RFC 6724 section 10.2, and each rule by itself.

use crate::world::{candidate, ms};
use sixgate_endpoint::connect::{Candidate, FamilyChoice, Rule, Source, order, policy};

fn from(to: &str, source: &str) -> Candidate {
    let source = match source.strip_suffix('!') {
        _ if source.is_empty() => Source::None,
        Some(old) => Source::Address { address: old.parse().unwrap(), deprecated: true },
        None => Source::Address { address: source.parse().unwrap(), deprecated: false },
    };
    Candidate { source, ..candidate(to) }
}

#[test]
fn each_rule_decides() {
    // Better, its source; worse, its source; by which rule. The first six are RFC 6724 section 10.2.
    let table = [
        ("2001:db8:1::1", "2001:db8:1::2", "198.51.100.121", "169.254.13.78", Rule::MatchingScope),
        ("198.51.100.121", "198.51.100.117", "2001:db8:1::1", "fe80::1", Rule::MatchingScope),
        ("2001:db8:1::1", "2001:db8:1::2", "10.1.2.3", "10.1.2.4", Rule::Precedence),
        ("fe80::1", "fe80::2", "2001:db8:1::1", "2001:db8:1::2", Rule::SmallerScope),
        ("2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2002:c633:6401::2", Rule::Precedence),
        ("2001:db8:1::1", "2001:db8:1::2", "fd00::1", "fd00::2", Rule::Precedence),
        ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "", Rule::Usable),
        ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "2001:db8:1::2!", Rule::Deprecated),
        ("192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::2", Rule::MatchingLabel),
        ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:8000::1", "2001:db8:1::2", Rule::LongestPrefix),
        ("::1", "::1", "2001:db8::1", "2001:db8::2", Rule::Precedence),
    ];
    for (better, source, worse, worse_source, rule) in table {
        let (better, worse) = (from(better, source), from(worse, worse_source));
        for both in [[better, worse], [worse, better]] {
            let placed = order(&both, &[], &policy());
            assert_eq!((placed[0].candidate.to, placed[0].rule), (better.to, rule), "{both:?}");
            assert_eq!(placed[1].rule, rule);
        }
    }
}

#[test]
fn equals_keep_the_order_of_the_answer() {
    let same = [candidate("192.0.2.9"), candidate("192.0.2.1"), candidate("192.0.2.5")];
    let placed = order(&same, &[], &policy());
    let kept: Vec<Candidate> = placed.iter().map(|placed| placed.candidate).collect();
    assert_eq!(kept, same);
    assert!(placed.iter().all(|placed| placed.rule == Rule::Order && !placed.interleaved));
    // Nearness means nothing for IPv4.
    let near = [from("192.0.2.9", "198.51.100.1"), from("198.51.100.2", "198.51.100.1")];
    assert_eq!(order(&near, &[], &policy())[0].candidate, near[0]);
}

#[test]
fn what_is_moved_is_marked() {
    let all = [candidate("2001:db8::1"), candidate("2001:db8::2"), candidate("192.0.2.1")];
    let placed = order(&all, &[], &policy());
    let seen: Vec<(String, bool)> =
        placed.iter().map(|placed| (placed.candidate.to.address().to_string(), placed.interleaved)).collect();
    let expected = [("2001:db8::1", false), ("192.0.2.1", true), ("2001:db8::2", true)];
    assert_eq!(seen, expected.map(|(to, moved)| (to.to_owned(), moved)));
    let ipv4 = policy().with_family(FamilyChoice::PreferIpv4);
    assert_eq!(order(&all, &[], &ipv4)[0].candidate, all[2]);
}

#[test]
fn times_known_of_some_only_do_not_confuse() {
    // The rules are no total order here; sorting must neither panic nor lose any.
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..2000 {
        let all: Vec<Candidate> = (0..32)
            .map(|n| {
                let mut one = from(&format!("2001:db8:{:x}::{n:x}", rng.u16(..)), "2001:db8:1::1");
                one.rtt = rng.bool().then(|| ms(rng.u64(..50)));
                one
            })
            .collect();
        let mut placed: Vec<_> =
            order(&all, &[], &policy()).iter().map(|placed| placed.candidate.to).collect();
        let mut given: Vec<_> = all.iter().map(|one| one.to).collect();
        placed.sort_unstable();
        given.sort_unstable();
        assert_eq!(placed, given);
    }
    assert!(order(&[], &[], &policy()).is_empty());
}
