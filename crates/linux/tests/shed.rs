//! Which DHCPv6 messages the kernel keeps from a server that is asked for too much.

#![allow(clippy::unwrap_used, missing_docs)]

use sixgate_linux::socket::{Udp6Options, UdpSocket6, is_looked_at, udp6};
use std::net::{Ipv6Addr, SocketAddrV6};

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const INFORMATION_REQUEST: u8 = 11;
const RELAY_FORWARD: u8 = 12;

fn socket() -> UdpSocket6 {
    udp6(&Udp6Options::new(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0))).unwrap()
}

fn message(kind: u8) -> Vec<u8> {
    // A Client Identifier behind it.
    [&[kind, 1, 2, 3][..], &[0, 1, 0, 4, 0, 3, 0, 1]].concat()
}

/// Behind a relay agent which sends so many options of these lengths before the client's message.
fn relayed(before: &[u16], inner: &[u8]) -> Vec<u8> {
    let mut all = vec![RELAY_FORWARD, 0];
    all.resize(34, 0);
    for length in before {
        all.extend([0, 18]);
        all.extend(length.to_be_bytes());
        all.resize(all.len() + usize::from(*length), 9);
    }
    all.extend([0, 9]);
    all.extend(u16::try_from(inner.len()).unwrap().to_be_bytes());
    all.extend(inner);
    all
}

/// How many of a hundred times `times` such messages come. What is sent over the loopback interface is there, or dropped, at once.
fn come(server: &UdpSocket6, bytes: &[u8], times: usize) -> usize {
    let client = socket();
    let mut buffer = [0; 2048];
    let mut came = 0;
    for _ in 0..100 * times {
        client.send(bytes, server.local_addr().unwrap(), None).unwrap();
        while let Ok(received) = server.recv(&mut buffer) {
            assert_eq!(&buffer[..received.len], bytes);
            came += 1;
        }
    }
    came
}

#[test]
fn first_requests_are_kept_away_and_nothing_else() {
    let server = socket();
    let firsts = [
        message(SOLICIT),
        message(INFORMATION_REQUEST),
        relayed(&[], &message(SOLICIT)),
        relayed(&[5], &message(INFORMATION_REQUEST)),
        relayed(&[5, 14], &message(SOLICIT)),
    ];
    let others = [
        message(REQUEST),
        message(RENEW),
        relayed(&[], &message(RENEW)),
        relayed(&[5], &message(REQUEST)),
        relayed(&[3, 0], &message(RENEW)),
        // Two relay agents, and many options: not looked into.
        relayed(&[], &relayed(&[], &message(SOLICIT))),
        relayed(&[1, 2, 3], &message(SOLICIT)),
    ];
    for bytes in firsts.iter().chain(&others) {
        assert_eq!(come(&server, bytes, 1), 100, "{bytes:?}");
    }
    server.shed_first_requests(1000).unwrap();
    for bytes in &firsts {
        assert_eq!((come(&server, bytes, 1), is_looked_at(bytes)), (0, true), "{bytes:?}");
    }
    for bytes in &others {
        assert_eq!((come(&server, bytes, 1), is_looked_at(bytes)), (100, false), "{bytes:?}");
    }
    server.shed_first_requests(0).unwrap();
    // Twice is as well.
    server.shed_first_requests(0).unwrap();
    assert_eq!(come(&server, &firsts[0], 1), 100);
}

#[test]
fn a_share_is_a_share() {
    let server = socket();
    server.shed_first_requests(750).unwrap();
    // Of 4,000 a quarter, with a deviation of 27.
    let came = come(&server, &message(SOLICIT), 40);
    assert!((800..1200).contains(&came), "{came}");
    assert_eq!(come(&server, &message(RENEW), 1), 100);
}
