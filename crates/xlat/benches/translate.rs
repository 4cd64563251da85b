//! Translation in memory, without an interface: nanoseconds a packet, beside the textbook in the same run,
//! and the memory of 100,000 sessions.
//!
//! The textbook copies the payload behind a new header and computes the checksum over all of it; it has no
//! checks, no tables and no sessions. `--profile` runs the stateful case for some seconds, for a profiler.

use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{
    AddressMap, Config, HEADROOM, Mapping, Nat64, Offload, Packet, SessionConfig, Siit, Verdict,
};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

const ROUNDS: usize = 21;
const COUNT: u32 = 20_000;
const SESSIONS: u32 = 100_000;
const NOW: Duration = Duration::from_secs(1_795_000_000);

fn prefix() -> Prefix {
    Prefix::WELL_KNOWN
}

fn checksum(octets: &[u8], begin: u64) -> u16 {
    let (words, rest) = octets.as_chunks::<4>();
    let mut sum = words.iter().fold(begin, |sum, word| sum + u64::from(u32::from_be_bytes(*word)));
    sum += rest
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
        .sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// UDP over IPv6 from a host's port to a server, in `length` octets.
fn packet_v6(host: Ipv6Addr, port: u16, server: Ipv4Addr, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    octets[0] = 0x60;
    octets[4..6].copy_from_slice(&(length as u16 - 40).to_be_bytes());
    (octets[6], octets[7]) = (17, 64);
    octets[8..24].copy_from_slice(&host.octets());
    octets[24..40].copy_from_slice(&prefix().synthesise(server).octets());
    octets[40..42].copy_from_slice(&port.to_be_bytes());
    octets[42..44].copy_from_slice(&443u16.to_be_bytes());
    octets[44..46].copy_from_slice(&(length as u16 - 40).to_be_bytes());
    let sum = checksum(&octets[8..], u64::from(length as u32 - 40) + 17);
    octets[46..48].copy_from_slice(&sum.to_be_bytes());
    octets
}

fn packet_v4(length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    octets[0] = 0x45;
    octets[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    (octets[6], octets[8], octets[9]) = (0x40, 64, 17);
    octets[12..16].copy_from_slice(&[192, 0, 0, 1]);
    octets[16..20].copy_from_slice(&[9, 9, 9, 9]);
    let sum = checksum(&octets[..20], 0);
    octets[10..12].copy_from_slice(&sum.to_be_bytes());
    octets[20..24].copy_from_slice(&[1, 2, 3, 4]);
    octets[24..26].copy_from_slice(&(length as u16 - 20).to_be_bytes());
    let sum = checksum(&octets[12..], u64::from(length as u32 - 20) + 17);
    octets[26..28].copy_from_slice(&sum.to_be_bytes());
    octets
}

/// What a superpacket of this length comes with.
fn offload(length: usize) -> Offload {
    let large = length > 1500;
    Offload { partial_checksum: large, segment: large.then_some(1400) }
}

/// Puts the header of `packet` into a buffer whose payload is there already, as a read from an interface
/// would.
struct Buffer {
    octets: Vec<u8>,
}

impl Buffer {
    fn new(packet: &[u8]) -> Self {
        Self { octets: [&[0; HEADROOM], packet].concat() }
    }

    fn translate(&mut self, packet: &[u8], translate: impl FnOnce(&mut Packet<'_>) -> Verdict) {
        let headers = packet.len().min(64);
        self.octets[HEADROOM..HEADROOM + headers].copy_from_slice(&packet[..headers]);
        let range = HEADROOM..HEADROOM + packet.len();
        let Ok(packet_in) = Packet::new(&mut self.octets, range) else { return };
        let mut packet_in = packet_in.with_offload(offload(packet.len()));
        let verdict = translate(&mut packet_in);
        assert_eq!(verdict, Verdict::Translated);
        black_box(packet_in.bytes());
    }
}

/// A new header, the payload copied behind it, the checksum over all.
fn textbook(packet: &[u8], header: usize, new: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(new);
    out.extend(&packet[header..]);
    let at = new.len();
    out[at + 6..at + 8].fill(0);
    let length = out.len() - at;
    let sum = checksum(&out[at..], checksum(&new[12..], length as u64 + 17).into());
    out[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
    black_box(out.as_slice());
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e9 / f64::from(COUNT)
}

/// Nanoseconds for one of each, measured in turns.
fn compare(mut ours: impl FnMut(), mut peer: impl FnMut()) -> (f64, f64) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        ours();
        times.0.push(start.elapsed());
        let start = Instant::now();
        peer();
        times.1.push(start.elapsed());
    }
    (median(times.0), median(times.1))
}

fn report(what: &str, (ours, peer): (f64, f64), target: f64) {
    let ratio = ours / peer;
    let verdict = if ratio <= target { "ok" } else { "MISSED" };
    println!(
        "{what:<38}{ours:8.1} ns {:6.2} M/s   textbook {peer:8.1} ns   ratio {ratio:6.3}   target at most {target:5.2}   {verdict}",
        1e3 / ours
    );
}

fn host(number: u32) -> (Ipv6Addr, u16) {
    let host = Ipv6Addr::new(0x2001, 0xdb8, 0, (number / 100) as u16, 0, 0, 0, 7);
    (host, 20_000 + (number % 100) as u16)
}

fn nat() -> Nat64 {
    let pool = (1..=4).map(|number| Ipv4Addr::new(203, 0, 113, number)).collect();
    let sessions = SessionConfig { block: 128, ..SessionConfig::new(prefix(), pool) };
    let config = Config::new(Ipv4Addr::new(192, 0, 0, 8), Ipv6Addr::LOCALHOST);
    match Nat64::new(config, sessions, fastrand::Rng::with_seed(1)) {
        Ok(nat) => nat,
        Err(error) => unreachable!("{error}"),
    }
}

/// Resident memory in octets; 0 where the system does not tell.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn stateless() {
    let mapping = Mapping::new(
        Ipv4Addr::new(192, 0, 0, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc1a7).into(),
    );
    let map = AddressMap::new(Some(prefix()), mapping.ok()).unwrap_or_default();
    let config = Config::new(Ipv4Addr::new(192, 0, 0, 8), Ipv6Addr::LOCALHOST);
    let mut siit = Siit::new(config, map, fastrand::Rng::with_seed(1));
    let (mut out, mut actions) = (Vec::new(), Vec::new());
    let clat = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc1a7);
    for (length, target) in [(64, 6.0), (1480, 0.75), (65_000, 0.02)] {
        let packet = packet_v4(length);
        let header = packet_v6(clat, 1, Ipv4Addr::new(9, 9, 9, 9), 48)[..40].to_vec();
        let mut buffer = Buffer::new(&packet);
        let times = compare(
            || {
                for _ in 0..COUNT {
                    buffer.translate(&packet, |packet| siit.translate(NOW, packet, &mut actions));
                }
            },
            || (0..COUNT).for_each(|_| textbook(black_box(&packet), 20, &header, &mut out)),
        );
        report(&format!("stateless, IPv4 to IPv6, {length} octets"), times, target);
    }
    for (length, target) in [(64, 6.0), (1500, 0.75), (65_000, 0.02)] {
        let packet = packet_v6(clat, 1, Ipv4Addr::new(9, 9, 9, 9), length);
        let header = packet_v4(64)[..20].to_vec();
        let mut buffer = Buffer::new(&packet);
        let times = compare(
            || {
                for _ in 0..COUNT {
                    buffer.translate(&packet, |packet| siit.translate(NOW, packet, &mut actions));
                }
            },
            || (0..COUNT).for_each(|_| textbook(black_box(&packet), 40, &header, &mut out)),
        );
        report(&format!("stateless, IPv6 to IPv4, {length} octets"), times, target);
    }
}

/// All sessions, and the packets that go out through them and come in.
fn filled() -> (Nat64, Vec<Vec<u8>>, Vec<Vec<u8>>, usize) {
    let server = Ipv4Addr::new(9, 9, 9, 9);
    let out: Vec<Vec<u8>> = (0..SESSIONS)
        .map(|number| {
            let (host, port) = host(number);
            packet_v6(host, port, server, 64)
        })
        .collect();
    let before = memory();
    let mut nat = nat();
    let mut actions = Vec::new();
    let mut buffer = Buffer::new(&out[0]);
    let mut back = Vec::with_capacity(out.len());
    for packet in &out {
        buffer.translate(packet, |packet| nat.translate(NOW, packet, &mut actions));
        actions.clear();
    }
    let memory = memory().saturating_sub(before);
    for session in nat.sessions() {
        let mut packet = packet_v4(64);
        packet[12..16].copy_from_slice(&server.octets());
        packet[16..20].copy_from_slice(&session.outside.ip().octets());
        packet[20..22].copy_from_slice(&443u16.to_be_bytes());
        packet[22..24].copy_from_slice(&session.outside.port().to_be_bytes());
        packet[10..12].fill(0);
        let sum = checksum(&packet[..20], 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        back.push(packet);
    }
    assert_eq!(nat.usage().sessions, SESSIONS as usize);
    (nat, out, back, memory)
}

fn stateful() {
    let (mut nat, mut out, mut back, memory) = filled();
    let mut random = fastrand::Rng::with_seed(2);
    random.shuffle(&mut out);
    random.shuffle(&mut back);
    let (mut copy, mut actions, mut second) = (Vec::new(), Vec::new(), 0);
    for (what, packets, header, new) in [
        ("IPv6 to IPv4", &out, 40, packet_v4(64)[..20].to_vec()),
        ("IPv4 to IPv6", &back, 20, out[0][..40].to_vec()),
    ] {
        let mut buffer = Buffer::new(&packets[0]);
        let (mut at, mut peer_at) = (0, 0);
        let times = compare(
            || {
                // Each round is a second of its own: every session is moved to the end of its list.
                second += 1;
                for _ in 0..COUNT {
                    at = (at + 1) % packets.len();
                    let now = NOW + Duration::from_secs(second);
                    buffer.translate(&packets[at], |packet| nat.translate(now, packet, &mut actions));
                }
            },
            || {
                for _ in 0..COUNT {
                    peer_at = (peer_at + 1) % packets.len();
                    textbook(&packets[peer_at], header, &new, &mut copy);
                }
            },
        );
        report(&format!("100,000 sessions, {what}, 64 octets"), times, 8.0);
    }
    let length = 65_000;
    let (inside, port) = host(4711);
    let packet = packet_v6(inside, port, Ipv4Addr::new(9, 9, 9, 9), length);
    let new = packet_v4(64)[..20].to_vec();
    let mut buffer = Buffer::new(&packet);
    let now = NOW + Duration::from_secs(second);
    let times = compare(
        || {
            for _ in 0..COUNT {
                buffer.translate(&packet, |packet| nat.translate(now, packet, &mut actions));
            }
        },
        || (0..COUNT).for_each(|_| textbook(black_box(&packet), 40, &new, &mut copy)),
    );
    report(&format!("100,000 sessions, IPv6 to IPv4, {length}"), times, 0.02);
    let memory = f64::from(u32::try_from(memory).unwrap_or(u32::MAX));
    let each = memory / f64::from(SESSIONS);
    let verdict = if each > 0.0 && each <= 160.0 { "ok" } else { "MISSED" };
    println!(
        "memory of 100,000 sessions            {:8.2} MB   {each:6.0} octets each   target at most 160   {verdict}",
        memory / 1e6
    );
}

fn main() {
    if std::env::args().any(|argument| argument == "--profile") {
        let (mut nat, mut out, _, _) = filled();
        fastrand::Rng::with_seed(2).shuffle(&mut out);
        let mut buffer = Buffer::new(&out[0]);
        for second in 0..200 {
            for packet in &out {
                let now = NOW + Duration::from_secs(second);
                buffer.translate(packet, |packet| nat.translate(now, packet, &mut Vec::new()));
            }
        }
        return;
    }
    // First, so that the memory is that of the sessions.
    stateful();
    stateless();
}
