//! Translators: a run of packets and pauses. Each event goes to a stateless translator and to two with sessions.

use crate::cores::{START, Script};
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{
    Action, AddressMap, Config, Filtering, HEADROOM, Mapping, Nat64, Offload, Packet, SessionConfig, Siit,
    Usage, Verdict,
};
use std::time::Duration;

/// Caps so small that a run reaches them.
const SESSIONS: u32 = 12;
const OF_SUBSCRIBER: u32 = 8;
const FRAGMENTED: usize = 4;
const FRAGMENT_OCTETS: usize = 2000;

fn prefix() -> Prefix {
    Prefix::new("2001:db8:64::".parse().expect("an address"), 96).expect("a prefix")
}

fn config(small: bool) -> Config {
    let own = ("192.0.2.254".parse().expect("an address"), "2001:db8::fe".parse().expect("an address"));
    let mut config = Config::new(own.0, own.1);
    if small {
        (config.mtu_v4, config.mtu_v6) = (68, 1280);
        config.error_sources = Some("192.0.2.128/28".parse().expect("a prefix"));
    }
    config
}

fn siit() -> Siit {
    let mapping = |v4: &str, v6: &str| {
        Mapping::new(v4.parse().expect("a prefix"), v6.parse().expect("a prefix")).expect("wide enough")
    };
    let mappings =
        [mapping("192.0.2.1/32", "2001:db8:1::1/128"), mapping("198.18.0.0/24", "2001:db8:2::/120")];
    let map = AddressMap::new(Some(prefix()), mappings).expect("each once");
    Siit::new(config(true), map, fastrand::Rng::with_seed(1))
}

fn nat(filtering: Filtering) -> Nat64 {
    let mut sessions = SessionConfig::new(prefix(), vec!["203.0.113.1".parse().expect("an address")]);
    sessions.filtering = filtering;
    sessions.ports = 1000..=1063;
    (sessions.block, sessions.blocks_per_subscriber) = (16, 2);
    (sessions.sessions, sessions.sessions_per_subscriber) = (SESSIONS, OF_SUBSCRIBER);
    (sessions.fragmented, sessions.fragment_octets) = (FRAGMENTED, FRAGMENT_OCTETS);
    Nat64::new(config(false), sessions, fastrand::Rng::with_seed(1)).expect("a configuration")
}

/// Adds up 16-bit words as RFC 1071 has it.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Lengths and checksums put right, so that more packets get beyond them.
fn mend(octets: &mut [u8]) {
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    match octets.first().map(|octet| octet >> 4) {
        Some(4) if octets.len() >= 28 => {
            let header = usize::from(octets[0] & 15) * 4;
            if !(20..=octets.len() - 8).contains(&header) {
                return;
            }
            octets[2..4].copy_from_slice(&length.to_be_bytes());
            octets[10..12].fill(0);
            let sum = checksum(&octets[..header]);
            octets[10..12].copy_from_slice(&sum.to_be_bytes());
            if octets[9] == 1 {
                octets[header + 2..header + 4].fill(0);
                let sum = checksum(&octets[header..]);
                octets[header + 2..header + 4].copy_from_slice(&sum.to_be_bytes());
            }
        }
        Some(6) if octets.len() >= 48 => {
            let payload = length - 40;
            octets[4..6].copy_from_slice(&payload.to_be_bytes());
            if octets[6] == 58 {
                octets[42..44].fill(0);
                let pseudo = [&octets[8..40], &u32::from(payload).to_be_bytes(), &[0, 0, 0, 58]].concat();
                let sum = checksum(&[&pseudo, &octets[40..]].concat());
                octets[42..44].copy_from_slice(&sum.to_be_bytes());
            }
        }
        _ => {}
    }
}

/// What is sent has the length that it says, and IPv4 a right header checksum.
fn well_formed(octets: &[u8]) {
    match octets[0] >> 4 {
        4 => {
            assert_eq!(usize::from(u16::from_be_bytes([octets[2], octets[3]])), octets.len());
            assert_eq!((octets[0], checksum(&octets[..20])), (0x45, 0));
        }
        6 => assert_eq!(40 + usize::from(u16::from_be_bytes([octets[4], octets[5]])), octets.len()),
        other => panic!("version {other}"),
    }
}

/// One packet through one translator; what it sent.
fn give(
    octets: &[u8],
    offload: Offload,
    translate: impl FnOnce(&mut Packet<'_>, &mut Vec<Action>) -> Verdict,
) -> (Verdict, Vec<Vec<u8>>) {
    let mut buffer = [&[0; HEADROOM], octets].concat();
    let end = buffer.len();
    let mut packet = Packet::new(&mut buffer, HEADROOM..end).expect("with headroom").with_offload(offload);
    let mut actions = Vec::new();
    let verdict = translate(&mut packet, &mut actions);
    let mut sent = Vec::new();
    if verdict == Verdict::Translated {
        assert!(packet.bytes().len() <= octets.len() + HEADROOM);
        sent.push(packet.bytes().to_vec());
    }
    sent.extend(actions.into_iter().filter_map(|action| match action {
        Action::Send(octets) => Some(octets),
        Action::Log(_) => None,
    }));
    for octets in &sent {
        well_formed(octets);
    }
    (verdict, sent)
}

fn bounded(usage: Usage) {
    assert!(usage.sessions <= SESSIONS as usize && usage.bindings <= usage.sessions);
    assert!(usage.subscribers <= usage.blocks as usize && usage.blocks <= 4);
    assert!(usage.blocks as usize <= usage.bindings);
    assert!(usage.fragment_octets <= FRAGMENT_OCTETS && usage.held_syns <= 64);
}

/// Nothing panics; what is sent is well-formed; caps hold; what is refused leaves no session; in the end all is empty.
pub fn xlat(bytes: &[u8]) {
    let mut siit = siit();
    let mut nats = [nat(Filtering::EndpointIndependent), nat(Filtering::AddressDependent)];
    let mut now = Duration::from_secs(START);
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        if what % 8 == 7 {
            now += Duration::from_millis(u64::from(how) * u64::from(how) * 150);
            continue;
        }
        let mut octets = script.content().to_vec();
        if what & 8 != 0 {
            mend(&mut octets);
        }
        // The lower bits say how long a superpacket's segments are.
        let segment = (how & 0x80 != 0).then_some(u16::from(how & 0x3f) * 32);
        let offload = Offload { partial_checksum: how & 0x40 != 0, segment };
        let (_, sent) = give(&octets, offload, |packet, actions| siit.translate(now, packet, actions));
        for packet in &sent {
            let _ = give(packet, Offload::default(), |packet, actions| siit.translate(now, packet, actions));
        }
        for nat in &mut nats {
            nat.handle_timeout(now, &mut Vec::new());
            let before = nat.usage();
            let (verdict, _) = give(&octets, offload, |packet, actions| nat.translate(now, packet, actions));
            let after = nat.usage();
            bounded(after);
            if matches!(verdict, Verdict::Discarded(_)) {
                assert!(after.sessions <= before.sessions && after.bindings <= before.bindings);
                assert_eq!(after.fragment_octets, before.fragment_octets);
            }
            assert_eq!(nat.sessions().count(), after.sessions);
        }
    }
    for nat in &mut nats {
        // Idle connections are probed first.
        for _ in 0..2 {
            now += Duration::from_hours(3);
            nat.handle_timeout(now, &mut Vec::new());
        }
        assert_eq!(nat.usage(), Usage::default());
        assert_eq!(nat.poll_timeout(), None);
    }
}
