//! What passes by and is only looked at: frames of a LAN, and messages of DNS.

use sixgate_dns::told;
use sixgate_wire::frame::{Frame, Payload};
use std::hint::black_box;

/// The first octet says which, the rest is it.
pub fn watched(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    if which & 1 == 1 {
        if let Some(told) = told(bytes) {
            assert!(!told.name.is_empty() && told.addresses.len() <= 16);
            assert!(told.reply || (told.addresses.is_empty() && !told.exists));
            assert!(told.name.bytes().all(|octet| octet.is_ascii_graphic() && !octet.is_ascii_uppercase()));
        }
        return;
    }
    let Ok(frame) = Frame::parse(bytes) else { return };
    assert_eq!(frame.source, bytes[6..12]);
    match frame.payload {
        Payload::Arp(arp) => {
            black_box(arp.seeks_a_neighbour());
        }
        Payload::Ip(packet) => {
            assert!(packet.version == 4 || packet.version == 6);
            assert!(!packet.opens_connection() || packet.protocol == sixgate_wire::frame::TCP);
            black_box(packet.destination_port());
        }
        Payload::Other(_) => {}
    }
}
