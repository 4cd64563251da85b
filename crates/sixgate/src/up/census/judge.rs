//! What a frame or a name says of the host that it comes from.

use super::book::{Book, Ipv6, embedded};
use crate::up::neighbours::Mac;
use sixgate_dhcp::v4::census::{Family, NeedKind, Sighting};
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::nat64::{Prefix, WELL_KNOWN_NAME};
use sixgate_wire::frame::{Frame, Packet, Payload, UDP};
use sixgate_wire::ndp::{self, Message};
use std::net::IpAddr;

/// The name under which an encrypted resolver is looked for (RFC 9462 section 4).
const ENCRYPTED_RESOLVER: &str = "_dns.resolver.arpa";
/// Ports of DHCP, which the server tells of itself.
const DHCP: [u16; 2] = [67, 68];

/// Names that systems ask for to find out whether they are connected. Browsers do so too, on all of them: theirs are not
/// here.
const CONNECTIVITY: [(&str, Family); 13] = [
    ("captive.apple.com", Family::Apple),
    ("gsp1.apple.com", Family::Apple),
    ("www.ibook.info", Family::Apple),
    ("connectivitycheck.gstatic.com", Family::Android),
    ("connectivitycheck.android.com", Family::Android),
    ("play.googleapis.com", Family::Android),
    ("www.msftconnecttest.com", Family::Windows),
    ("ipv6.msftconnecttest.com", Family::Windows),
    ("www.msftncsi.com", Family::Windows),
    ("dns.msftncsi.com", Family::Windows),
    ("connectivity-check.ubuntu.com", Family::Linux),
    ("network-test.debian.org", Family::Linux),
    ("nmcheck.gnome.org", Family::Linux),
];

/// What a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An ARP frame: from which address, and whom it seeks.
    Arp { mac: Mac, sender: IpAddr, seeks: Option<IpAddr> },
    /// A host has an IPv6 address.
    Address { mac: Mac, address: IpAddr },
    /// A host begins to talk to another.
    Flow { mac: Mac, version: u8, destination: IpAddr, port: u16 },
}

/// Reads a frame; `None` for one that shows nothing.
pub(crate) fn read(bytes: &[u8]) -> Option<Seen> {
    let frame = Frame::parse(bytes).ok()?;
    let mac = frame.source;
    // No host has a group's address.
    if mac[0] & 1 != 0 {
        return None;
    }
    // What is for everybody on the link is no flow: the gateway would carry it nowhere.
    let to_us = frame.destination[0] & 1 == 0;
    match frame.payload {
        Payload::Arp(arp) => {
            let seeks = arp.seeks_a_neighbour().then_some(arp.target);
            Some(Seen::Arp { mac, sender: arp.sender, seeks })
        }
        Payload::Ip(packet) if packet.protocol == sixgate_wire::frame::ICMPV6 => {
            address(&packet).map(|address| Seen::Address { mac, address })
        }
        Payload::Ip(packet) if to_us && (packet.opens_connection() || packet.protocol == UDP) => {
            let port = packet.destination_port().filter(|port| !DHCP.contains(port))?;
            Some(Seen::Flow { mac, version: packet.version, destination: packet.destination, port })
        }
        _ => None,
    }
}

/// The address that a Neighbour Discovery message shows its sender to have: also the one that it only asks for, to see
/// whether another has it (RFC 4862 section 5.4.2).
fn address(packet: &Packet<'_>) -> Option<IpAddr> {
    if packet.hop_limit != ndp::HOP_LIMIT {
        return None;
    }
    let address = match Message::parse(packet.payload).ok()? {
        Message::NeighborSolicitation(message) if packet.source.is_unspecified() => message.target().into(),
        Message::NeighborAdvertisement(message) => message.target().into(),
        Message::NeighborSolicitation(_) | Message::RouterSolicitation(_) => packet.source,
        _ => return None,
    };
    (!address.is_unspecified()).then_some(address)
}

/// What a name says of the host that asks for it.
pub(crate) fn name(name: &str) -> Option<Sighting> {
    match name {
        WELL_KNOWN_NAME => Some(Sighting::Discovers),
        ENCRYPTED_RESOLVER => Some(Sighting::Encrypts),
        name => {
            (CONNECTIVITY.iter()).find(|(known, _)| *known == name).map(|(_, family)| Sighting::Is(*family))
        }
    }
}

/// What a flow says of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    Sighting(Sighting),
    /// It could not have done so without IPv4.
    Need(NeedKind, String),
}

/// Judges a flow. `translated` says whether names that have IPv4 alone are given addresses through a NAT64 here; `remembers`
/// whether all is known that the host was told: after a restart it may use what it was told before.
pub(crate) fn flow(
    book: &Book,
    mac: Mac,
    (version, destination, port): (u8, IpAddr, u16),
    (prefix, translated): (Option<Prefix>, bool),
    remembers: bool,
) -> Verdict {
    if version == 6 {
        let Some(address) = embedded(destination, prefix) else { return Verdict::Nothing };
        return match book.name_through(mac, address) {
            Some(_) => Verdict::Sighting(Sighting::Reached),
            // Nobody gave it this address: it made it itself, of one written as a number or of an A record.
            None if remembers => Verdict::Sighting(Sighting::Translated),
            None => Verdict::Nothing,
        };
    }
    match book.name_of(mac, destination) {
        Some(page) if !page.asked_ipv6 => Verdict::Need(NeedKind::NameByIpv4, page.name.clone()),
        Some(page) if page.ipv6 == Ipv6::Nothing && !translated => {
            Verdict::Need(NeedKind::Name, page.name.clone())
        }
        None if remembers => {
            Verdict::Need(NeedKind::Address, Endpoint::new(destination).with_port(port).to_string())
        }
        // With a name, it could have taken IPv6, of its own or by translation, and did not wait for it.
        Some(_) | None => Verdict::Nothing,
    }
}

/// Whether an address that ARP asks for is one that a host needs: one that a host gave itself because it found no server
/// (RFC 3927) leads nowhere.
pub(crate) fn is_neighbour(sender: IpAddr, target: IpAddr) -> bool {
    !is_self_assigned(sender) && !is_self_assigned(target)
}

fn is_self_assigned(address: IpAddr) -> bool {
    // 169.254.0.0/16, mapped.
    matches!(Endpoint::new(address).octets(), [.., 0xff, 0xff, 169, 254, _, _])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_dns::Told;
    use std::time::Duration;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];
    const FAR: &str = "198.51.100.10";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told(book: &mut Book, kind: u16, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| ip(text)).collect();
        let told = Told { reply: true, exists: true, name: "name.example".to_owned(), kind, addresses };
        book.hear(Duration::ZERO, MAC, &told, Some(Prefix::WELL_KNOWN));
    }

    fn over_ipv4(book: &Book, translated: bool, remembers: bool) -> Verdict {
        flow(book, MAC, (4, ip(FAR), 80), (Some(Prefix::WELL_KNOWN), translated), remembers)
    }

    #[test]
    fn what_ipv6_could_have_done_is_no_need() {
        let name = || "name.example".to_owned();
        let mut book = Book::default();
        // A number.
        assert_eq!(
            over_ipv4(&book, true, true),
            Verdict::Need(NeedKind::Address, "198.51.100.10:80".to_owned())
        );
        assert_eq!(over_ipv4(&book, true, false), Verdict::Nothing, "it may have been told before a restart");
        // By A alone, whoever translates.
        told(&mut book, 1, &[FAR]);
        assert_eq!(over_ipv4(&book, true, true), Verdict::Need(NeedKind::NameByIpv4, name()));
        // No IPv6 address: a need where nobody translates.
        told(&mut book, 28, &[]);
        assert_eq!(over_ipv4(&book, false, true), Verdict::Need(NeedKind::Name, name()));
        assert_eq!(over_ipv4(&book, true, true), Verdict::Nothing);
        // Both, or through a NAT64: it did not wait.
        for address in ["2001:db8::1", "64:ff9b::c633:640a"] {
            told(&mut book, 28, &[address]);
            assert_eq!(over_ipv4(&book, false, true), Verdict::Nothing);
        }
    }

    #[test]
    fn who_makes_its_own_addresses_translates() {
        let mut book = Book::default();
        let through = |book: &Book, remembers| {
            flow(book, MAC, (6, ip("64:ff9b::c633:640a"), 443), (Some(Prefix::WELL_KNOWN), true), remembers)
        };
        assert_eq!(through(&book, true), Verdict::Sighting(Sighting::Translated));
        assert_eq!(through(&book, false), Verdict::Nothing);
        // Of an A record, it is its own translation still.
        told(&mut book, 1, &[FAR]);
        assert_eq!(through(&book, true), Verdict::Sighting(Sighting::Translated));
        told(&mut book, 28, &["64:ff9b::c633:640a"]);
        assert_eq!(through(&book, true), Verdict::Sighting(Sighting::Reached));
        let native = (6, ip("2001:db8::1"), 443);
        assert_eq!(flow(&book, MAC, native, (Some(Prefix::WELL_KNOWN), true), true), Verdict::Nothing);
        assert_eq!(flow(&book, MAC, native, (None, false), true), Verdict::Nothing);
    }

    #[test]
    fn addresses_of_ones_own_making_are_no_neighbours() {
        assert!(is_neighbour(ip("192.168.7.2"), ip("192.168.7.3")));
        assert!(!is_neighbour(ip("169.254.1.1"), ip("192.168.7.3")));
        assert!(!is_neighbour(ip("192.168.7.2"), ip("169.254.1.1")));
    }

    #[test]
    fn names_tell_of_their_askers() {
        for (text, said) in [
            ("ipv4only.arpa", Some(Sighting::Discovers)),
            ("_dns.resolver.arpa", Some(Sighting::Encrypts)),
            ("captive.apple.com", Some(Sighting::Is(Family::Apple))),
            ("www.example", None),
        ] {
            assert_eq!(name(text), said);
        }
    }

    fn nd(kind: u8, source: &str, target: &str, hop_limit: u8) -> Option<Seen> {
        let octets = |text: &str| Endpoint::new(ip(text)).octets();
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        if kind != 133 {
            message.extend_from_slice(&octets(target));
        }
        let mut frame = [&[0xff; 6][..], &MAC, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, hop_limit]].concat();
        frame.extend_from_slice(&octets(source));
        frame.extend_from_slice(&octets("ff02::1"));
        frame.extend_from_slice(&message);
        read(&frame)
    }

    #[test]
    fn a_flow_is_to_one_host_and_no_dhcp() {
        let udp = |to: u8, port: u16| {
            let mut header = [0; 28];
            (header[0], header[9]) = (0x45, UDP);
            header[12..20].copy_from_slice(&[192, 168, 7, 2, 192, 168, 7, 255]);
            header[22..24].copy_from_slice(&port.to_be_bytes());
            read(&[&[to; 6][..], &MAC, &[8, 0], &header].concat())
        };
        let flow = Seen::Flow { mac: MAC, version: 4, destination: ip("192.168.7.255"), port: 137 };
        assert_eq!(udp(2, 137), Some(flow));
        assert_eq!(udp(0xff, 137), None, "a broadcast");
        assert_eq!(udp(2, 67), None);
    }

    #[test]
    fn neighbour_discovery_tells_whose_an_address_is() {
        let has = |address: &str| Some(Seen::Address { mac: MAC, address: ip(address) });
        assert_eq!(nd(135, "::", "2001:db8::7", 255), has("2001:db8::7"), "it only asks for it yet");
        assert_eq!(nd(135, "2001:db8::7", "2001:db8::1", 255), has("2001:db8::7"));
        assert_eq!(nd(136, "fe80::7", "2001:db8::7", 255), has("2001:db8::7"));
        assert_eq!(nd(133, "fe80::7", "::", 255), has("fe80::7"));
        assert_eq!(nd(133, "::", "::", 255), None);
        assert_eq!(nd(136, "fe80::7", "2001:db8::7", 254), None, "a router passed it on");
    }
}
