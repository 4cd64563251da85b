//! The laws of access lists, over random rules and peers, against oracles that look at one rule after the
//! other.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;
use sixgate_endpoint::acl::{Acl, Prefix, PrefixMap, PrefixSet, Rule, Verdict, Warning};
use sixgate_endpoint::{Endpoint, Zone};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Few blocks with few bits that differ, so that prefixes meet and peers meet prefixes.
fn bits() -> impl Strategy<Value = u128> {
    let block = prop_oneof![
        Just(0x2001_0db8_u128 << 96),
        Just(0x2001_0db8_0000_0001_u128 << 64),
        Just(0xfe80_u128 << 112),
        Just(0xff02_u128 << 112),
        Just(0xffff_u128 << 32),
        Just(0x0064_ff9b_u128 << 96),
        Just(0x2002_u128 << 112),
        Just(0),
        Just(u128::MAX),
    ];
    let noise = prop_oneof![
        Just(0),
        (0u128..4),
        (0u128..4).prop_map(|bits| bits << 62),
        (0u128..4).prop_map(|bits| bits << 126),
        any::<u128>().prop_map(|bits| bits & 0x0001_0000_0000_0003_8000_0000_c0a8_0003),
        any::<u128>(),
    ];
    (block, noise).prop_map(|(block, noise)| block ^ noise)
}

fn v4_net() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0u8..=32, any::<bool>()).prop_map(|(bits, length, wide)| {
        let bits = if wide { bits } else { bits & 0x8000_8103 | 0x0a00_0000 };
        Ipv4Net::new(bits.into(), length).unwrap().trunc().into()
    })
}

fn v6_net() -> impl Strategy<Value = IpNet> {
    (bits(), prop_oneof![0u8..=128, 60u8..=68, 94u8..=98, 124u8..=128])
        .prop_map(|(bits, length)| Ipv6Net::new(bits.into(), length).unwrap().trunc().into())
}

fn net() -> impl Strategy<Value = IpNet> {
    prop_oneof![v4_net(), v6_net()]
}

/// Addresses anywhere, and where ranges begin and end: around the edges of the prefixes.
fn peers(nets: Vec<IpNet>) -> impl Strategy<Value = (Vec<IpNet>, Vec<IpAddr>)> {
    let edges: Vec<IpAddr> = nets
        .iter()
        .flat_map(|net| match net {
            IpNet::V4(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                    .map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpNet::V6(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                    .map(|bits| Ipv6Addr::from_bits(bits).into())
            }
        })
        .collect();
    let random = prop_oneof![
        bits().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))),
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))),
    ];
    (Just(nets), vec(random, 8)).prop_map(move |(nets, mut random)| {
        random.extend(&edges);
        (nets, random)
    })
}

/// The numbers of a peer or a prefix, IPv4 told from IPv6 by what it is, not by how it is written.
fn numbers(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (true, u128::from(v4.to_bits())),
        IpAddr::V6(v6) if v6.to_bits() >> 32 == 0xffff => (true, v6.to_bits() & 0xffff_ffff),
        IpAddr::V6(v6) => (false, v6.to_bits()),
    }
}

/// How long a prefix of an address is, if it holds it: bit by bit.
fn holds(net: IpNet, peer: IpAddr) -> Option<u8> {
    let (v4, bits) = numbers(peer);
    let (net_v4, start, length, width) = match net {
        IpNet::V4(net) => (true, u128::from(net.addr().to_bits()), net.prefix_len(), 32),
        IpNet::V6(net) if net.prefix_len() >= 96 && net.addr().to_bits() >> 32 == 0xffff => {
            (true, net.addr().to_bits() & 0xffff_ffff, net.prefix_len() - 96, 32)
        }
        IpNet::V6(net) => (false, net.addr().to_bits(), net.prefix_len(), 128),
    };
    let same = (0..length).all(|bit| (bits ^ start) >> (width - 1 - bit) & 1 == 0);
    (v4 == net_v4 && same).then_some(length)
}

fn zone() -> impl Strategy<Value = Option<Zone>> {
    prop_oneof![
        2 => Just(None),
        4 => prop::sample::select(vec!["eth0", "eth1", "gone", "2", "3"]).prop_map(Zone::from_name),
    ]
}

/// `eth0` is 2, `eth1` is 7, any other name is no interface.
fn index_of(name: &str) -> Option<u32> {
    [("eth0", 2), ("eth1", 7)].into_iter().find(|&(known, _)| known == name).map(|(_, index)| index)
}

/// A prefix as a rule may have it: with a zone only where it can have one.
fn prefix((net, zone): (IpNet, Option<Zone>)) -> Prefix {
    let prefix = Prefix::new(net);
    zone.and_then(|zone| prefix.with_zone(zone)).unwrap_or(prefix)
}

fn scoped_net() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), prop_oneof![Just(10u8), Just(64), Just(128)], any::<bool>()).prop_map(
        |(bits, length, multicast)| {
            let bits = if multicast { 0xff02 << 112 } else { 0xfe80 << 112 } | bits & 3 | (bits & 4) << 62;
            Ipv6Net::new(bits.into(), if multicast { length.max(16) } else { length }).unwrap().trunc().into()
        },
    )
}

fn rules(net: impl Strategy<Value = IpNet>) -> impl Strategy<Value = Vec<Rule>> {
    let verdict = prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny)];
    vec(
        (verdict, vec((net, zone()).prop_map(prefix), 1..4))
            .prop_map(|(verdict, prefixes)| Rule::new(verdict, prefixes).unwrap()),
        0..12,
    )
}

/// Whether a rule's zone is a peer's: `None` where it can't be known.
fn same_zone(rule: Zone, peer: Option<Zone>, names: bool) -> Option<bool> {
    let peer = peer?;
    if rule.to_string() == peer.to_string() {
        return Some(true);
    }
    let index = |zone: Zone| zone.name().map_or(zone.index().map(u32::from), index_of);
    match (rule.name().is_some(), peer.name().is_some()) {
        (false, false) => Some(false),
        (true, true) if !names => Some(false),
        _ if !names => None,
        _ => Some(index(rule).is_some() && index(rule) == index(peer)),
    }
}

/// The first rule that holds a peer.
fn first(rules: &[Rule], peer: Endpoint, names: bool) -> Option<usize> {
    let scoped = match peer.address() {
        IpAddr::V6(address) => {
            let [first, second, ..] = address.octets();
            (first == 0xfe && second >> 6 == 2) || (first == 0xff && (1..=13).contains(&(second & 15)))
        }
        IpAddr::V4(_) => false,
    };
    rules.iter().position(|rule| {
        rule.prefixes().iter().any(|prefix| {
            holds(prefix.net(), peer.address()).is_some()
                && match prefix.zone() {
                    None => true,
                    Some(zone) => {
                        scoped
                            && same_zone(zone, peer.zone(), names).unwrap_or(rule.verdict() == Verdict::Deny)
                    }
                }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn first_match(
        rules in rules(prop_oneof![3 => net(), 1 => scoped_net()]),
        random in vec((prop_oneof![bits(), any::<u32>().prop_map(|bits| 0xffff_u128 << 32 | u128::from(bits))], zone()), 8),
    ) {
        let acl = Acl::new(rules.clone());
        let edges = rules.iter().flat_map(Rule::prefixes).flat_map(|prefix| {
            [prefix.net().network(), prefix.net().broadcast()].map(|address| (address, prefix.zone()))
        });
        let random = random.into_iter().map(|(bits, zone)| (Ipv6Addr::from_bits(bits).into(), zone));
        let mut unmatched = 0;
        for (address, zone) in random.chain(edges) {
            let peer = Endpoint::new(address).with_port(9);
            let peer = zone.map_or(peer, |zone| peer.with_zone(zone));
            for names in [true, false] {
                let expected = first(&rules, peer, names);
                let found = if names { acl.decide_with(peer, index_of) } else { acl.decide(peer) };
                prop_assert_eq!(found.place(), expected, "{} of {:?}, names {}", peer, &rules, names);
                let verdict = expected.map_or(Verdict::Deny, |place| rules[place].verdict());
                prop_assert_eq!(found.verdict(), verdict);
                prop_assert_eq!(found.is_allowed(), verdict == Verdict::Allow);
                prop_assert_eq!(found.rule(), expected.map(|place| &rules[place]));
                unmatched += u64::from(expected.is_none());
                let _ = found.to_string();
            }
            prop_assert_eq!(acl.explain(peer, index_of).place(), first(&rules, peer, true));
        }
        prop_assert_eq!(acl.unmatched(), unmatched);
    }

    #[test]
    fn zones_and_links(rules in rules(scoped_net()), low in 0u128..8, zone in zone(), names: bool) {
        let acl = Acl::new(rules.clone());
        for block in [0xfe80_u128 << 112, 0xff02 << 112] {
            let peer = Endpoint::from(Ipv6Addr::from_bits(block | low & 3 | (low & 4) << 62));
            let peer = zone.map_or(peer, |zone| peer.with_zone(zone));
            let found = if names { acl.decide_with(peer, index_of) } else { acl.decide(peer) };
            prop_assert_eq!(found.place(), first(&rules, peer, names), "{} of {:?}", peer, &rules);
        }
    }

    #[test]
    fn longest_match((nets, peers) in vec(net(), 0..40).prop_flat_map(peers)) {
        let map: PrefixMap<usize> = nets.iter().copied().zip(0..).collect();
        let set: PrefixSet = nets.iter().copied().collect();
        let mut distinct = HashSet::new();
        for (place, &net) in nets.iter().enumerate() {
            distinct.insert(Prefix::new(net));
            let last = nets.iter().rposition(|&other| Prefix::new(other) == Prefix::new(net)).unwrap();
            prop_assert_eq!(map.exact(net), Some(&last), "place {}", place);
        }
        prop_assert_eq!((map.len(), set.len()), (distinct.len(), distinct.len()));
        prop_assert_eq!(set.iter().map(Prefix::new).collect::<HashSet<_>>(), distinct);
        prop_assert_eq!(map.is_empty(), nets.is_empty());
        for peer in peers {
            // Of equal lengths the last.
            let expected =
                (0..nets.len()).filter_map(|place| Some((holds(nets[place], peer)?, place))).max().map(|(_, place)| place);
            prop_assert_eq!(map.get(peer).copied(), expected, "{} in {:?}", peer, &nets);
            let found = map.find(peer);
            prop_assert_eq!(found.map(|(net, &place)| (net, place)),
                expected.map(|place| (Prefix::new(nets[place]).net(), place)));
            prop_assert_eq!(set.contains(peer), expected.is_some());
            prop_assert_eq!(set.find(peer), found.map(|(net, _)| net));
        }
    }

    /// R45 and R46: a rule of one family holds nobody of the other, however the peer is given.
    #[test]
    fn families_never_meet(v4: Vec<u32>, v6 in vec(bits(), 0..20), net4 in v4_net(), net6 in v6_net()) {
        let only4 = Acl::new([Rule::new(Verdict::Allow, [net4, "0.0.0.0/0".parse().unwrap()]).unwrap()]);
        let only6 = Acl::new([Rule::new(Verdict::Allow, ["::/0".parse().unwrap(), net6]).unwrap()]);
        let net6_is_mapped = Prefix::new(net6).net() != net6;
        for address in v4.into_iter().map(Ipv4Addr::from_bits) {
            let mapped = SocketAddrV6::new(address.to_ipv6_mapped(), 25, 7, 3);
            prop_assert!(only4.decide(address).is_allowed());
            prop_assert!(only4.decide(mapped).is_allowed());
            let held = net6_is_mapped && Prefix::new(net6).net().contains(&IpAddr::from(address));
            prop_assert_eq!(only6.decide(address).is_allowed(), held);
            prop_assert_eq!(only6.decide(mapped).is_allowed(), held);
            prop_assert_eq!(only6.decide(IpAddr::from(address.to_ipv6_mapped())).is_allowed(), held);
        }
        for address in v6.into_iter().map(Ipv6Addr::from_bits) {
            let mapped = address.to_bits() >> 32 == 0xffff;
            prop_assert_eq!(only4.decide(address).is_allowed(), mapped);
            prop_assert!(mapped || only6.decide(address).is_allowed());
        }
    }

    #[test]
    fn text_reads_back(rules in rules(prop_oneof![net(), scoped_net()])) {
        let acl = Acl::new(rules);
        let text = acl.to_string();
        let read: Acl = text.parse().unwrap();
        prop_assert_eq!(&read, &acl);
        prop_assert_eq!(read.to_string(), text);
        for rule in acl.rules() {
            prop_assert_eq!(&rule.to_string().parse::<Rule>().unwrap(), rule);
            for prefix in rule.prefixes() {
                prop_assert_eq!(&prefix.to_string().parse::<Prefix>().unwrap(), prefix);
            }
        }
    }

    /// A prefix without a zone is dead if and only if leaving it out changes nothing, at its own edges and at
    /// those of all others.
    #[test]
    fn dead_rules_are_those_that_never_decide(rules in rules(net())) {
        let acl = Acl::new(rules.clone());
        let mut dead = HashSet::new();
        for warned in acl.warnings() {
            if let Warning::Dead { rule, prefix, held_by, contradicts } = warned.warning {
                prop_assert!(!held_by.is_empty() && held_by.iter().all(|holder| holder <= rule));
                if !contradicts {
                    prop_assert!(held_by.iter().all(|&holder| rules[holder].verdict() == rules[*rule].verdict()));
                }
                dead.insert((*rule, *prefix));
            }
        }
        let all: Vec<Prefix> = rules.iter().flat_map(|rule| rule.prefixes().to_vec()).collect();
        // Ranges begin and end at edges of prefixes, so these are all the addresses that there is to try.
        let edges: Vec<IpAddr> = all.iter().flat_map(|prefix| peers_at(prefix.net())).collect();
        for (place, rule) in rules.iter().enumerate() {
            for (at, prefix) in rule.prefixes().iter().enumerate() {
                if prefix.zone().is_some() || rule.prefixes()[..at].contains(prefix) {
                    continue;
                }
                let zoneless = |p: &&Prefix| p.zone().is_none();
                let before = || rules[..place].iter().flat_map(Rule::prefixes).chain(&rule.prefixes()[..at]).filter(zoneless);
                let decides = edges.iter().any(|&peer| {
                    holds(prefix.net(), peer).is_some() && before().all(|other| holds(other.net(), peer).is_none())
                });
                if decides {
                    // The same prefix may stand in this rule once more, and be dead there.
                    let again = rule.prefixes().iter().filter(|other| *other == prefix).count() > 1;
                    prop_assert!(again || !dead.contains(&(place, *prefix)), "{} of rule {} decides: {:?}", prefix, place, &rules);
                } else {
                    prop_assert!(dead.contains(&(place, *prefix)), "{} of rule {} is dead: {:?}", prefix, place, &rules);
                }
            }
        }
        for warned in acl.warnings() {
            prop_assert!(warned.to_string().starts_with("rule "));
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", rule in "(allow|deny|#| |,|/|%|::|\\.|[0-9a-f]|fe80::|any|\n|\r|\u{e9}|192.0.2.0/24|\u{2003}){0,40}") {
        for text in [text, rule] {
            match text.parse::<Acl>() {
                Ok(acl) => prop_assert_eq!(&acl.to_string().parse::<Acl>().unwrap(), &acl),
                Err(error) => {
                    prop_assert!(error.line >= 1 && error.line <= text.lines().count());
                    let line = text.lines().nth(error.line - 1).unwrap();
                    prop_assert!(error.column >= 1 && error.column <= line.chars().count() + 1, "{:?} {}", text, error);
                    prop_assert!(error.to_string().len() < 1200);
                }
            }
            let _ = text.parse::<Rule>();
            let _ = text.parse::<Prefix>();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Many neighbours make deep trees, both over the high and over the low half of an address.
    #[test]
    fn deep_trees(seed: u64, count in 1usize..3000, kind in 0u8..4) {
        let mut random = fastrand::Rng::with_seed(seed);
        let draw = |random: &mut fastrand::Rng| -> IpAddr {
            match kind {
                0 => Ipv4Addr::from_bits(random.u32(..) & 0x0000_3fff | 0x0a00_0000).into(),
                1 => Ipv6Addr::from_bits(u128::from(random.u16(..) & 0x3fff) | 0x2001 << 112).into(),
                2 => Ipv6Addr::from_bits(u128::from(random.u16(..) & 0x3fff) << 62 | 0x2001 << 112).into(),
                _ => Ipv6Addr::from_bits(u128::from(random.u64(..) & 0x3fff_0000_0000_00ff) << 32).into(),
            }
        };
        let hosts: Vec<IpAddr> = (0..count).map(|_| draw(&mut random)).collect();
        let known: HashSet<IpAddr> = hosts.iter().copied().collect();
        let set: PrefixSet = hosts.iter().copied().collect();
        prop_assert_eq!(set.len(), known.len());
        for &host in &hosts {
            prop_assert!(set.contains(host));
        }
        for _ in 0..count {
            let peer = draw(&mut random);
            prop_assert_eq!(set.contains(peer), known.contains(&peer), "{}", peer);
        }
    }
}

fn peers_at(net: IpNet) -> Vec<IpAddr> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)]
                .into_iter()
                .flatten()
                .map(|bits| Ipv4Addr::from_bits(bits).into())
                .collect()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)]
                .into_iter()
                .flatten()
                .map(|bits| Ipv6Addr::from_bits(bits).into())
                .collect()
        }
    }
}

/// R45: in 2001 a patch that taught a mail server IPv6 compared as many bits of an IPv4 peer's address as an
/// IPv6 rule had, found them equal, and relayed for everybody.
#[test]
fn postfix_patch_is_no_open_relay() {
    let relay_for: Acl =
        "allow 2001:db8::/32\nallow ::/0\nallow ::1\nallow fe80::/10\nallow ::/96".parse().unwrap();
    for stranger in [
        "192.0.2.1:25",
        "0.0.0.0:25",
        "255.255.255.255:25",
        "127.0.0.1:25",
        "32.1.13.184:25",
        "[::ffff:192.0.2.1]:25",
    ] {
        let stranger: SocketAddr = stranger.parse().unwrap();
        let decision = relay_for.decide(stranger);
        assert_eq!((decision.verdict(), decision.place()), (Verdict::Deny, None), "{decision}");
        assert_eq!(relay_for.decide(stranger.ip()).verdict(), Verdict::Deny);
        assert_eq!(relay_for.decide(Endpoint::from(stranger)).verdict(), Verdict::Deny);
    }
    let map: PrefixMap<()> = [("::/0".parse::<IpNet>().unwrap(), ())].into_iter().collect();
    assert_eq!(map.get(Ipv4Addr::LOCALHOST), None);
    assert_eq!(map.get(Ipv4Addr::LOCALHOST.to_ipv6_mapped()), None);
    assert_eq!(map.get(Ipv6Addr::LOCALHOST), Some(&()));
}

/// R47, and the way back.
#[test]
fn mapped_is_ipv4() {
    let acl: Acl = "deny ::ffff:192.0.2.0/120\nallow 0.0.0.0/0\ndeny ::/0".parse().unwrap();
    assert_eq!(acl.to_string(), "deny 192.0.2.0/24\nallow 0.0.0.0/0\ndeny ::/0\n");
    for (peer, place) in
        [("192.0.2.77", 0), ("::ffff:192.0.2.77", 0), ("::ffff:192.0.3.1", 1), ("::fffe:192.0.2.1", 2)]
    {
        assert_eq!(acl.decide(peer.parse::<IpAddr>().unwrap()).place(), Some(place), "{peer}");
    }
    let all: Acl = "allow ::ffff:0.0.0.0/96".parse().unwrap();
    assert_eq!(all.to_string(), "allow 0.0.0.0/0\n");
    let broader: Acl = "allow ::fffe:0:0/95".parse().unwrap();
    assert_eq!(broader.to_string(), "allow ::fffe:0:0/95\n");
    assert!(!broader.decide(Ipv4Addr::LOCALHOST.to_ipv6_mapped()).is_allowed());
}

#[test]
fn empty_denies() {
    for acl in [Acl::default(), "".parse().unwrap(), "# nothing\n\n  # here\n".parse().unwrap()] {
        for peer in ["0.0.0.0", "192.0.2.1", "::", "::1", "2001:db8::1", "fe80::1"] {
            let decision = acl.decide(peer.parse::<IpAddr>().unwrap());
            assert!(!decision.is_allowed());
            assert_eq!(decision.to_string(), format!("{peer} denied: no rule holds it"));
        }
        assert_eq!(acl.unmatched(), 6);
        assert_eq!(acl.to_string(), "");
    }
}

#[test]
fn hits_are_counted() {
    let acl: Acl = "allow 192.0.2.0/24\ndeny ::/0".parse().unwrap();
    for peer in ["192.0.2.1", "192.0.2.2", "::1", "198.51.100.1"] {
        acl.decide(peer.parse::<IpAddr>().unwrap());
        acl.explain(peer.parse::<IpAddr>().unwrap(), index_of);
    }
    assert_eq!(acl.hits().map(|(_, hits)| hits).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(acl.unmatched(), 1);
    assert_eq!(acl.clone().unmatched(), 1);
}

/// Who opens connections until no file descriptor is left does not get past a `deny` on a link so: with none, the
/// names of interfaces cannot be looked up. The test executes itself again, to have few of them.
#[cfg(feature = "net")]
#[test]
fn without_descriptors_doubt_denies() {
    const AGAIN: &str = "SIXGATE_TEST_NO_DESCRIPTORS";
    if std::env::var_os(AGAIN).is_none() {
        let again = format!(
            "ulimit -n 64; {} --exact without_descriptors_doubt_denies",
            std::env::current_exe().unwrap().display()
        );
        let status = std::process::Command::new("sh").args(["-ec", &again]).env(AGAIN, "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let acl: Acl = "deny fe80::%lo/10\nallow fe80::/10".parse().unwrap();
    let lo = sixgate_endpoint::interface_index("lo").unwrap();
    let peer = |index| {
        Endpoint::new(Ipv6Addr::from_bits(0xfe80 << 112 | 1)).with_zone(Zone::from_index(index).unwrap())
    };
    let allowed = |index| acl.decide_here(peer(index)).is_allowed();
    assert_eq!((allowed(lo), allowed(lo + 1)), (false, true));
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    let without = (allowed(lo), allowed(lo + 1));
    drop(all);
    assert_eq!(without, (false, false));
    assert_eq!((allowed(lo), allowed(lo + 1)), (false, true));
}
