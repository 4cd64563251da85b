//! What the watching socket hears of frames that really come in, and what it leaves to others. Needs root.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use nix::sched::{CloneFlags, unshare};
use sixgate_linux::route::Netlink;
use sixgate_linux::socket::{WatchSocket, watch};
use sixgate_linux::tap::Tap;
use std::io;
use std::net::Ipv6Addr;
use std::thread;

const PREFIX: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// A TAP device in a namespace of its own, what goes into it, and a look at it.
fn watched(prefix: Option<(Ipv6Addr, u8)>, test: impl FnOnce(&Tap, &WatchSocket) + Send + 'static) {
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let tap = Tap::create("t0").unwrap();
        let mut netlink = Netlink::new().unwrap();
        let index = netlink.links().unwrap().iter().find(|link| link.name == "t0").unwrap().index;
        netlink.set_up(index, true).unwrap();
        let socket = watch("t0", index, prefix).unwrap();
        test(&tap, &socket);
    };
    thread::spawn(body).join().unwrap();
}

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 7], &ethertype.to_be_bytes(), payload].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

fn tcp(flags: u8) -> [u8; 20] {
    let mut header = [0; 20];
    (header[3], header[12], header[13]) = (80, 0x50, flags);
    header
}

fn over_ipv4(protocol: u8, to: [u8; 4], fragment: u8, payload: &[u8]) -> Vec<u8> {
    // An IHL of six: options must not move what is looked for.
    let mut header = [0; 24];
    (header[0], header[7], header[8], header[9]) = (0x46, fragment, 64, protocol);
    header[16..20].copy_from_slice(&to);
    frame(0x0800, &[&header[..], payload].concat())
}

fn over_ipv6(protocol: u8, to: &str, payload: &[u8]) -> Vec<u8> {
    let to: Ipv6Addr = to.parse().unwrap();
    let mut header = [0; 40];
    (header[0], header[6], header[7]) = (0x60, protocol, 255);
    header[24..].copy_from_slice(&to.octets());
    frame(0x86dd, &[&header[..], payload].concat())
}

/// Whether the socket hears a frame. An ARP message behind it comes last, so that nothing has to be waited for.
fn hears(tap: &Tap, socket: &WatchSocket, bytes: &[u8]) -> bool {
    let marker = frame(0x0806, &[9; 28]);
    tap.send(bytes).unwrap();
    tap.send(&marker).unwrap();
    let mut buffer = [0; 2048];
    let mut heard = false;
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) if buffer[..length] == marker => return heard,
            Ok(length) => {
                assert!(length <= 160 && bytes.starts_with(&buffer[..length]));
                heard = true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn it_hears_what_tells_how_hosts_live_and_nothing_else() {
    watched(Some(PREFIX), |tap, socket| {
        let far = [198, 51, 100, 10];
        for (bytes, heard, what) in [
            (frame(0x0806, &[1; 28]), true, "ARP"),
            (over_ipv4(6, far, 0, &tcp(0x02)), true, "SYN"),
            (over_ipv4(6, far, 0, &tcp(0xc2)), true, "SYN that offers ECN (RFC 3168)"),
            (over_ipv4(6, far, 0, &tcp(0x12)), false, "SYN and ACK"),
            (over_ipv4(6, far, 0, &tcp(0x10)), false, "ACK"),
            (over_ipv4(6, far, 5, &tcp(0x02)), false, "a later fragment"),
            (over_ipv4(1, far, 0, &[8; 20]), false, "ICMP"),
            (over_ipv4(6, [224, 0, 0, 251], 0, &tcp(0x02)), false, "a group"),
            (over_ipv6(58, "ff02::2", &[133; 8]), true, "Router Solicitation"),
            (over_ipv6(58, "ff02::1:ff00:1", &[135; 24]), true, "Neighbour Solicitation to others' group"),
            (over_ipv6(58, "ff02::1", &[136; 24]), true, "Neighbour Advertisement"),
            (over_ipv6(58, "ff02::1", &[134; 16]), false, "Router Advertisement"),
            (over_ipv6(58, "2001:db8::1", &[128; 8]), false, "echo"),
            (over_ipv6(6, "64:ff9b::c633:640a", &tcp(0x02)), true, "SYN through NAT64"),
            (over_ipv6(6, "64:ff9b::c633:640a", &tcp(0x10)), false, "ACK through NAT64"),
            (over_ipv6(6, "64:ff9b:0:1::1", &tcp(0x02)), false, "SYN beside NAT64"),
            (over_ipv6(6, "2001:db8::80", &tcp(0x02)), false, "SYN over IPv6"),
            (over_ipv6(17, "64:ff9b::c633:640a", &tcp(0x02)), false, "a datagram through NAT64"),
            (frame(0x88cc, &[0; 46]), false, "LLDP"),
            (over_ipv6(58, "ff02::1", &[136; 1_400]), true, "a long one, cut"),
        ] {
            assert_eq!(hears(tap, socket, &bytes), heard, "{what}");
        }
        // One datagram in sixteen: of 4,000 some 250; the bounds are eight standard deviations away.
        let datagram = over_ipv4(17, far, 0, &[0; 8]);
        let heard = (0..4_000).filter(|_| hears(tap, socket, &datagram)).count();
        assert!((125..=375).contains(&heard), "{heard}");
        // Another prefix, no prefix.
        socket.set_prefix(Some(("2001:db8:64::".parse().unwrap(), 56))).unwrap();
        assert!(hears(tap, socket, &over_ipv6(6, "2001:db8:64:aa::1", &tcp(0x02))));
        assert!(!hears(tap, socket, &over_ipv6(6, "2001:db8:64:100::1", &tcp(0x02))));
        socket.set_prefix(None).unwrap();
        assert!(!hears(tap, socket, &over_ipv6(6, "64:ff9b::c633:640a", &tcp(0x02))));
        assert_eq!(socket.lost().unwrap(), 0);
    });
}

#[test]
fn what_is_not_read_is_counted() {
    watched(None, |tap, socket| {
        let sent: usize = 20_000;
        for _ in 0..sent {
            tap.send(&frame(0x0806, &[1; 28])).unwrap();
        }
        let mut buffer = [0; 256];
        let mut read = 0;
        while socket.recv(&mut buffer).is_ok() {
            read += 1;
        }
        let lost = socket.lost().unwrap() as usize;
        assert!(lost > 0 && read + lost == sent, "{read} read, {lost} lost");
        assert_eq!(socket.lost().unwrap(), 0, "told once");
    });
}
