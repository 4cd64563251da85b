//! Queues: any run of packets, requests and pauses through every queue at once; and any bytes as a packet.

use crate::cores::{START, Script};
use sixgate_aqm::classify::{self, Ecn, FlowLabel};
use sixgate_aqm::codel::Parameters;
use sixgate_aqm::fq::{self, Fq};
use sixgate_aqm::pie::{self, Pie};
use sixgate_aqm::request::{self, Requests};
use sixgate_aqm::shape::{self, Framing, Next, Segments, Shaper, Tins};
use sixgate_aqm::{IpPacket, Packet, Rate, Secret};
use std::time::Duration;

/// Caps so small that a run reaches them.
const PACKETS: u32 = 12;
const MEMORY: u64 = 4000;

/// The books are right, caps hold, nothing panics, and in the end all is empty.
pub fn aqm(bytes: &[u8]) {
    let secret = Secret([1, 2]);
    let codel =
        Parameters { ecn: true, ce_threshold: Some(Duration::from_millis(20)), ..Parameters::default() };
    let config = fq::Config { flows: 4, packets: PACKETS, memory: MEMORY, quantum: 300, batch: 3, codel };
    let mut fq = Fq::new(config, secret);
    let mut pie =
        Pie::new(pie::Config { packets: 12, ..pie::Config::default() }, fastrand::Rng::with_seed(1));
    let mut shaper = Shaper::new(
        shape::Config {
            tins: Tins::Diffserv4,
            framing: Framing::PPPOE_LLCSNAP,
            ingress: bytes.first().is_some_and(|first| first & 1 != 0),
            ack_filter: true,
            flows: 8,
            packets: PACKETS,
            memory: MEMORY,
            ..shape::Config::new(Rate::mbit(1))
        },
        secret,
    );
    let mut requests =
        Requests::new(request::Config { classes: 3, capacity: 5, ..request::Config::default() });
    let mut now = Duration::from_secs(START);
    let (mut sent, mut released, mut served, mut turned_away) = (0, 0, 0, 0);
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        match what % 8 {
            7 => now += Duration::from_micros(u64::from(how) * u64::from(how) * u64::from(how)),
            6 => shaper.set_rate(now, Rate::bits(u64::from(how) * 100_000)),
            3..6 => {
                sent += u64::from(fq.dequeue(now).is_some());
                pie.dequeue(now);
                match shaper.dequeue(now) {
                    Next::Packet(_) => released += 1,
                    Next::Wait(until) => assert!(until > now && shaper.poll_timeout() == Some(until)),
                    Next::Empty => assert_eq!((shaper.packets(), shaper.octets()), (0, 0)),
                }
                served += u64::from(requests.pop(now, |_| {}).is_some());
            }
            _ => {
                let content = script.content();
                let segments = Segments { headers: 40, payload: u32::from(how) * 8 };
                let packet =
                    IpPacket::new(content.to_vec()).with_segments((how & 1 != 0).then_some(segments));
                fq.enqueue(now, packet.clone());
                pie.enqueue(now, packet.clone());
                shaper.enqueue(now, packet);
                turned_away += u64::from(requests.push(now, usize::from(how % 4), how).is_some());
            }
        }
        assert!(fq.packets() <= PACKETS && fq.memory() <= MEMORY && requests.len() <= 5);
        assert!(shaper.packets() <= PACKETS && shaper.memory() <= MEMORY && pie.packets() <= 12);
        assert_eq!(fq.flows().map(|flow| flow.packets).sum::<u32>(), fq.packets());
        assert_eq!(shaper.tins().map(|tin| tin.packets).sum::<u32>(), shaper.packets());
    }
    let counters = fq.counters();
    let gone = counters.dropped + counters.overflowed;
    assert_eq!((counters.dequeued, counters.enqueued), (sent, sent + gone + u64::from(fq.packets())));
    let sum = |of: fn(&shape::Counters) -> u64| shaper.tins().map(|tin| of(&tin.counters)).sum::<u64>();
    let gone = sum(|counters| counters.dropped + counters.overflowed + counters.acks);
    assert_eq!(sum(|counters| counters.enqueued), released + gone + u64::from(shaper.packets()));
    let counters = requests.counters();
    assert_eq!((counters.served, counters.refused), (served, turned_away));
    assert_eq!(counters.pushed, served + turned_away + counters.stale + requests.len() as u64);
    while fq.dequeue(now).is_some() {}
    for _ in 0..=PACKETS {
        now = shaper.poll_timeout().unwrap_or(now).max(now);
        let _ = shaper.dequeue(now);
    }
    assert_eq!((fq.packets(), fq.octets(), fq.memory()), (0, 0, 0));
    assert_eq!((shaper.packets(), shaper.octets(), shaper.memory()), (0, 0, 0));
}

/// Any bytes are a packet of some flow; marking changes two bits and a checksum, or nothing.
pub fn classify(bytes: &[u8]) {
    let flow = classify::flow(bytes, FlowLabel::default());
    // The label stands for ports only; where it always counts, tunnels that have one are not looked into.
    let other = classify::flow(bytes, FlowLabel::Ignore);
    let but_ports = |flow: classify::Flow| (flow.source, flow.destination, flow.protocol);
    assert_eq!(but_ports(other), but_ports(flow));
    classify::flow(bytes, FlowLabel::Always);
    assert!(classify::dscp(bytes) < 64);
    if let Some(ack) = classify::pure_ack(bytes) {
        assert!(!ack.supersedes(&ack));
        assert_eq!(flow.protocol, 6);
    }
    let mut packet = IpPacket::new(bytes.to_vec());
    let able = classify::ecn(bytes) != Ecn::NotEct;
    assert_eq!(packet.mark(), able);
    assert_eq!(packet.flow(), flow);
    assert_eq!(classify::dscp(packet.bytes()), classify::dscp(bytes));
    if able {
        assert_eq!(classify::ecn(packet.bytes()), Ecn::Ce);
        assert_eq!(classify::flow(packet.bytes(), FlowLabel::default()), flow);
        assert_eq!(packet.bytes()[12..], bytes[12..]);
    } else {
        assert_eq!(packet.bytes(), bytes);
    }
}
