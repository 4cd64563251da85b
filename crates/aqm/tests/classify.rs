//! Flows, ECN and acknowledgements of packets, by example and for any bytes.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sixgate_aqm::classify::{Ecn, Flow, FlowLabel, dscp, ecn, flow, mark, pure_ack};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn address(text: &str) -> u128 {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The sum of RFC 1071, in the plainest way.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn v4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut octets = vec![0x40 | (header / 4) as u8, 0];
    octets.extend(((header + payload.len()) as u16).to_be_bytes());
    octets.extend([0, 7]);
    octets.extend(fragment.to_be_bytes());
    octets.extend([64, protocol, 0, 0]);
    octets.extend("192.0.2.1".parse::<Ipv4Addr>().unwrap().octets());
    octets.extend("198.51.100.2".parse::<Ipv4Addr>().unwrap().octets());
    octets.extend(options);
    let sum = checksum(&octets);
    octets[10..12].copy_from_slice(&sum.to_be_bytes());
    octets.extend(payload);
    octets
}

fn v6(next: u8, label: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = (0x6000_0000 | label).to_be_bytes().to_vec();
    octets.extend((payload.len() as u16).to_be_bytes());
    octets.extend([next, 64]);
    octets.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    octets.extend("2001:db8:1::2".parse::<Ipv6Addr>().unwrap().octets());
    octets.extend(payload);
    octets
}

fn of_v4(protocol: u8, ports: u32) -> Flow {
    Flow { source: address("192.0.2.1"), destination: address("198.51.100.2"), ports, protocol }
}

fn of_v6(protocol: u8, ports: u32) -> Flow {
    Flow { source: address("2001:db8::1"), destination: address("2001:db8:1::2"), ports, protocol }
}

const UDP: [u8; 12] = [0x30, 0x39, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
const PORTS: u32 = 0x3039_0035;

fn usual(packet: &[u8]) -> Flow {
    flow(packet, FlowLabel::default())
}

#[test]
fn ports_are_found_behind_all_that_may_stand_before_them() {
    assert_eq!(usual(&v4(17, 0, &[], &UDP)), of_v4(17, PORTS));
    assert_eq!(usual(&v4(6, 0x4000, &[1; 12], &UDP)), of_v4(6, PORTS));
    assert_eq!(usual(&v6(17, 0, &UDP)), of_v6(17, PORTS));
    for protocol in [6, 17, 33, 132, 136] {
        assert_eq!(usual(&v6(protocol, 0, &UDP)), of_v6(protocol, PORTS));
    }
    // Hop-by-hop, destination options of 16 octets, routing, an atomic fragment, AH.
    let mut chain = vec![60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    chain.extend([44, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 9]);
    chain.extend([17, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    chain.extend(UDP);
    assert_eq!(usual(&v6(0, 0, &chain)), of_v6(17, PORTS));
}

#[test]
fn fragments_of_a_packet_share_a_flow() {
    let first = usual(&v4(17, 0x2000, &[], &UDP));
    assert_eq!(first, of_v4(17, 0));
    assert_eq!(usual(&v4(17, 185, &[], &[0xff; 40])), first);
    let fragment = |offset: u16, label| {
        let mut payload = vec![17, 0];
        payload.extend(offset.to_be_bytes());
        payload.extend([0, 0, 0, 9]);
        payload.extend(UDP);
        v6(44, label, &payload)
    };
    assert_eq!(usual(&fragment(1, 0)), of_v6(17, 0));
    assert_eq!(usual(&fragment(185 << 3, 0)), of_v6(17, 0));
    // The flow label tells flows apart where their ports cannot be seen.
    assert_eq!(usual(&fragment(1, 0x1_2345)), of_v6(17, 0x1_2345));
    assert_eq!(usual(&fragment(185 << 3, 0x1_2345)), of_v6(17, 0x1_2345));
    assert_eq!(flow(&fragment(1, 0x1_2345), FlowLabel::Ignore), of_v6(17, 0));
}

#[test]
fn flow_labels_count_as_they_were_asked_to() {
    let packet = v6(17, 0xf_ffff, &UDP);
    assert_eq!(flow(&packet, FlowLabel::WherePortsAreHidden), of_v6(17, PORTS));
    assert_eq!(flow(&packet, FlowLabel::Always), of_v6(17, 0xf_ffff));
    assert_eq!(flow(&v6(17, 0, &UDP), FlowLabel::Always), of_v6(17, PORTS));
    // ESP has an SPI; what is not known has its label.
    let esp = v6(50, 7, &[0, 0, 1, 2, 0, 0, 0, 9]);
    assert_eq!(usual(&esp), of_v6(50, 0x102));
    assert_eq!(usual(&v6(253, 7, &UDP)), of_v6(253, 7));
}

#[test]
fn icmp_echoes_are_flows_and_errors_are_not() {
    let echo = [8, 0, 0, 0, 0xab, 0xcd, 0, 1];
    assert_eq!(usual(&v4(1, 0, &[], &echo)), of_v4(1, 0xabcd));
    assert_eq!(usual(&v6(58, 3, &[128, 0, 0, 0, 0xab, 0xcd, 0, 2])), of_v6(58, 0xabcd));
    assert_eq!(usual(&v6(58, 3, &[129, 0, 0, 0, 0xab, 0xcd, 0, 2])), of_v6(58, 0xabcd));
    assert_eq!(usual(&v6(58, 3, &[1, 0, 0, 0, 0xab, 0xcd, 0, 2])), of_v6(58, 0));
    assert_eq!(usual(&v4(1, 0, &[], &[3, 4, 0, 0, 0xab, 0xcd, 0, 2])), of_v4(1, 0));
}

#[test]
fn tunnels_are_looked_through_twice() {
    let inner6 = v6(17, 0, &UDP);
    let inner4 = v4(6, 0, &[], &UDP);
    assert_eq!(usual(&v4(41, 0, &[], &inner6)), of_v6(17, PORTS), "6in4");
    assert_eq!(usual(&v6(4, 5, &inner4)), of_v4(6, PORTS), "DS-Lite");
    assert_eq!(usual(&v4(4, 0, &[], &inner4)), of_v4(6, PORTS), "IPIP");
    assert_eq!(usual(&v6(41, 5, &inner6)), of_v6(17, PORTS), "IPv6 in IPv6");
    let twice = v4(4, 0, &[], &v4(41, 0, &[], &inner6));
    assert_eq!(usual(&twice), of_v6(17, PORTS));
    // The third is not looked for: the second's flow it is.
    assert_eq!(usual(&v6(4, 5, &twice)), of_v4(41, 0));
    // A fragment of a tunnel's packet may hold anything.
    assert_eq!(usual(&v4(41, 0x2000, &[], &inner6)), of_v4(41, 0));
    // What is within cannot be read: the tunnel's flow.
    assert_eq!(usual(&v4(41, 0, &[], &[0x60; 30])), of_v4(41, 0));
    assert_eq!(usual(&v6(41, 5, &[0x60; 30])), of_v6(41, 5));
}

#[test]
fn what_is_no_packet_is_one_flow() {
    for bytes in [&[][..], &[0x45], &[0x60; 39], &[0x45; 19], &[0x70; 60], &[0x44; 60]] {
        assert_eq!(usual(bytes), Flow::default(), "{bytes:?}");
        assert_eq!((ecn(bytes), dscp(bytes), pure_ack(bytes)), (Ecn::NotEct, dscp(bytes), None));
    }
    // A length that goes beyond what is there does not matter; one below the header does.
    let mut cut = v4(17, 0, &[], &UDP);
    cut.truncate(25);
    assert_eq!(usual(&cut), of_v4(17, PORTS));
    cut[3] = 19;
    assert_eq!(usual(&cut), Flow::default());
    // Ports are not read from beyond the packet's end (padding of a link).
    let mut padded = v4(17, 0, &[], &[]);
    padded.extend([0xee; 26]);
    assert_eq!(usual(&padded), of_v4(17, 0));
}

#[test]
fn marks_change_the_header_of_ipv4_and_its_checksum() {
    for tos in 0..=255_u8 {
        let mut packet = v4(17, 0, &[1, 1, 1, 1], &UDP);
        packet[1] = tos;
        packet[10..12].fill(0);
        let sum = checksum(&packet[..24]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let before = packet.clone();
        assert_eq!(dscp(&packet), tos >> 2);
        assert_eq!(mark(&mut packet), tos & 3 != 0);
        assert_eq!(ecn(&packet), if tos.trailing_zeros() >= 2 { Ecn::NotEct } else { Ecn::Ce });
        assert_eq!(checksum(&packet[..24]), 0, "tos {tos}");
        assert_eq!((dscp(&packet), &packet[12..]), (tos >> 2, &before[12..]));
        let mut six = v6(17, 0xf_ffff, &UDP);
        six[0] |= tos >> 4;
        six[1] |= tos << 4;
        assert_eq!((dscp(&six), mark(&mut six)), (tos >> 2, tos & 3 != 0));
        assert_eq!((dscp(&six), usual(&six)), (tos >> 2, of_v6(17, PORTS)));
        assert_eq!(
            six[1..4],
            [tos << 4 | if tos.trailing_zeros() >= 2 { 0 } else { 0x30 } | 0xf, 0xff, 0xff]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn any_header_keeps_its_checksum(mut header in prop::collection::vec(any::<u8>(), 20..60)) {
        header.truncate(header.len() / 4 * 4);
        header[0] = 0x40 | (header.len() / 4) as u8;
        header[10..12].fill(0);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let wrong = {
            let mut wrong = header.clone();
            wrong[10] ^= 1;
            wrong
        };
        let able = header[1] & 3 != 0;
        prop_assert_eq!(mark(&mut header), able);
        prop_assert_eq!(checksum(&header), 0);
        // A wrong checksum stays wrong.
        let mut wrong = wrong;
        mark(&mut wrong);
        prop_assert_ne!(checksum(&wrong), 0);
    }

    #[test]
    fn nothing_is_read_that_is_not_there(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0..4_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = match version { 0 => *first, 1 => 0x45, 2 => 0x40 | *first & 15, _ => 0x60 };
        }
        for label in [FlowLabel::Ignore, FlowLabel::WherePortsAreHidden, FlowLabel::Always] {
            flow(&bytes, label);
        }
        pure_ack(&bytes);
        let before = bytes.clone();
        if !mark(&mut bytes) {
            prop_assert_eq!(&bytes, &before);
        }
    }
}
