//! What a host and the network said to each other, in words, and as what the rules look at.

use super::capture::Heard;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv4::{self, MessageType as Kind4, OptionCode as Code4};
use sixgate_wire::dhcpv6::{self, DhcpOption, MessageType as Kind6, OptionCode as Code6};
use sixgate_wire::frame::{Arp, Frame, ICMPV6, Packet, Payload, UDP};
use sixgate_wire::ndp::{Message, NdOption, RouterAdvertisement};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// Longest list of options that is told of a message.
const MOST_CODES: usize = 40;

/// One frame, told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// Its place in the capture file, from 1 on, as analysers count.
    pub(super) frame: usize,
    /// Since the first.
    pub(super) at: Duration,
    pub(super) from_host: bool,
    pub(super) words: String,
    pub(super) what: What,
}

/// What a frame is, as far as a rule asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Dhcp4 {
        kind: Kind4,
        asks_108: bool,
        v6only: Option<u32>,
    },
    Dhcp6 {
        kind: Kind6,
        transaction: [u8; 3],
        elapsed: bool,
        client_id: bool,
    },
    RouterSolicitation {
        hop_limit: u8,
    },
    RouterAdvertisement {
        autonomous: Vec<Ipv6Net>,
        resolvers: bool,
    },
    Solicits {
        source: IpAddr,
        target: IpAddr,
        hop_limit: u8,
    },
    Advertises {
        target: IpAddr,
        hop_limit: u8,
    },
    /// With an address of its own as the sender.
    Arp {
        sender: IpAddr,
    },
    Dns {
        version: u8,
        source: IpAddr,
    },
    Other,
}

/// The story of all frames.
pub(super) fn story(frames: &[Heard], host: [u8; 6]) -> Vec<Told> {
    let begin = frames.first().map_or(Duration::ZERO, |frame| frame.at);
    let tell = |(place, heard): (usize, &Heard)| {
        let frame = Frame::parse(&heard.bytes).ok()?;
        let (words, what) = told(&frame);
        let at = heard.at.saturating_sub(begin);
        Some(Told { frame: place + 1, at, from_host: frame.source == host, words, what })
    };
    frames.iter().enumerate().filter_map(tell).collect()
}

fn told(frame: &Frame<'_>) -> (String, What) {
    match &frame.payload {
        Payload::Arp(message) => arp(message),
        Payload::Ip(packet) if packet.protocol == ICMPV6 => icmp6(packet),
        Payload::Ip(packet) if packet.protocol == UDP => udp(packet),
        // Behind a hop-by-hop option (RFC 3810 section 5).
        Payload::Ip(packet) => (format!("multicast listener message to {}", packet.destination), What::Other),
        Payload::Other(kind) => (format!("a frame of type {kind:#06x}"), What::Other),
    }
}

fn arp(message: &Arp) -> (String, What) {
    let words = match (message.operation, message.sender.is_unspecified()) {
        (1, true) => format!("ARP probe: has somebody {}?", message.target),
        (1, false) if message.sender == message.target => {
            format!("ARP announcement: I have {}", message.sender)
        }
        (1, false) => format!("ARP: who has {}? tell {}", message.target, message.sender),
        _ => format!("ARP: {} is here", message.sender),
    };
    (words, What::Arp { sender: message.sender })
}

fn icmp6(packet: &Packet<'_>) -> (String, What) {
    let hop_limit = packet.hop_limit;
    match Message::parse(packet.payload) {
        Ok(Message::RouterSolicitation(_)) => {
            (format!("Router Solicitation from {}", packet.source), What::RouterSolicitation { hop_limit })
        }
        Ok(Message::RouterAdvertisement(message)) => advertisement(&message),
        Ok(Message::NeighborSolicitation(message)) => {
            let target = message.target().into();
            let words = if packet.source.is_unspecified() {
                format!("duplicate address detection: has somebody {target}?")
            } else {
                format!("Neighbour Solicitation: who has {target}? from {}", packet.source)
            };
            (words, What::Solicits { source: packet.source, target, hop_limit })
        }
        Ok(Message::NeighborAdvertisement(message)) => {
            let target = message.target().into();
            (format!("Neighbour Advertisement: {target} is here"), What::Advertises { target, hop_limit })
        }
        Ok(Message::Redirect(_)) => ("Redirect".to_owned(), What::Other),
        _ => {
            let kind = packet.payload.first().copied().unwrap_or_default();
            (format!("ICMPv6 type {kind} to {}", packet.destination), What::Other)
        }
    }
}

fn advertisement(message: &RouterAdvertisement<'_>) -> (String, What) {
    let mut words = format!("Router Advertisement: lifetime {} s", message.router_lifetime());
    for (set, flag) in [(message.managed(), "M"), (message.other(), "O")] {
        if set {
            let _ = write!(words, ", {flag}");
        }
    }
    let (mut autonomous, mut resolvers) = (Vec::new(), false);
    for option in message.options().iter() {
        let _ = match option {
            NdOption::PrefixInformation(prefix) => {
                if prefix.autonomous && prefix.valid > 0 && prefix.preferred > 0 {
                    autonomous.push(prefix.prefix());
                }
                let flags: String =
                    [(prefix.on_link, 'L'), (prefix.autonomous, 'A'), (prefix.pd_preferred, 'P')]
                        .iter()
                        .filter_map(|(set, flag)| set.then_some(*flag))
                        .collect();
                write!(
                    words,
                    "; prefix {} ({flags}, {}/{} s)",
                    prefix.prefix(),
                    prefix.preferred,
                    prefix.valid
                )
            }
            NdOption::Rdnss(rdnss) => {
                resolvers |= rdnss.lifetime > 0;
                let addresses: Vec<String> =
                    rdnss.addresses.iter().map(|address| address.to_string()).collect();
                write!(words, "; resolvers {} ({} s)", addresses.join(", "), rdnss.lifetime)
            }
            NdOption::Mtu(mtu) => write!(words, "; MTU {mtu}"),
            NdOption::Pref64(pref64) => write!(words, "; NAT64 {} ({} s)", pref64.prefix, pref64.lifetime),
            NdOption::RouteInformation(route) => {
                write!(words, "; route {} ({} s)", route.prefix, route.lifetime)
            }
            NdOption::Dnssl(_) => write!(words, "; search list"),
            _ => Ok(()),
        };
    }
    (words, What::RouterAdvertisement { autonomous, resolvers })
}

fn udp(packet: &Packet<'_>) -> (String, What) {
    let payload = packet.payload.get(8..).unwrap_or_default();
    let source = packet.payload.first_chunk().map_or(0, |port| u16::from_be_bytes(*port));
    match packet.destination_port().unwrap_or(0) {
        67 | 68 => match dhcpv4::Message::parse(payload) {
            Ok(message) => dhcp4(&message),
            Err(_) => ("DHCPv4 that cannot be read".to_owned(), What::Other),
        },
        546 | 547 => match dhcpv6::Message::parse(payload) {
            Ok(message) => dhcp6(&message),
            Err(_) => ("DHCPv6 that cannot be read, or relayed".to_owned(), What::Other),
        },
        _ if source == 53 => (format!("DNS answer over IPv{}", packet.version), What::Other),
        _ => {
            let what = What::Dns { version: packet.version, source: packet.source };
            (format!("DNS question over IPv{}", packet.version), what)
        }
    }
}

fn dhcp4(message: &dhcpv4::Message<'_>) -> (String, What) {
    let (header, options) = (message.header(), message.options());
    let mut words = format!("DHCPv4 {}", message.kind());
    if !header.ciaddr.is_unspecified() {
        let _ = write!(words, ", has {}", header.ciaddr);
    }
    if let Some(address) = options.address(Code4::REQUESTED_ADDRESS) {
        let _ = write!(words, ", asks for {address}");
    }
    if header.op == dhcpv4::BOOTREPLY {
        let _ = write!(words, ", gives {}", header.yiaddr);
    }
    if let Some(seconds) = options.u32(Code4::LEASE_TIME) {
        let _ = write!(words, " for {seconds} s");
    }
    let v6only = options.u32(Code4::IPV6_ONLY_PREFERRED);
    if let Some(wait) = v6only {
        let _ = write!(words, ", IPv6-only preferred (option 108) for {wait} s");
    }
    if let Some(class) = options.text(Code4::VENDOR_CLASS) {
        let _ = write!(words, ", vendor class \"{}\"", class.escape_default());
    }
    if options.get(Code4::HOST_NAME).is_some() || options.get(Code4::CLIENT_FQDN).is_some() {
        words += ", with a name";
    }
    let wanted = options.requested();
    if !wanted.is_empty() {
        let codes: Vec<String> = wanted.iter().take(MOST_CODES).map(|code| code.0.to_string()).collect();
        let _ = write!(words, ", wants options {}", codes.join(" "));
    }
    let asks_108 = wanted.contains(&Code4::IPV6_ONLY_PREFERRED);
    (words, What::Dhcp4 { kind: message.kind(), asks_108, v6only })
}

fn dhcp6(message: &dhcpv6::Message<'_>) -> (String, What) {
    let mut words = format!("DHCPv6 {}", message.kind());
    let (mut elapsed, mut client_id) = (false, false);
    for option in message.options().iter() {
        let _ = match option {
            DhcpOption::ClientId(_) => {
                client_id = true;
                Ok(())
            }
            DhcpOption::ElapsedTime(hundredths) => {
                elapsed = true;
                write!(words, ", after {:.2} s", f64::from(hundredths) / 100.0)
            }
            DhcpOption::IaNa(ia) => {
                let addresses: Vec<String> = ia
                    .addresses()
                    .map(|one| format!("{} ({}/{} s)", one.address, one.preferred, one.valid))
                    .collect();
                write!(words, ", IA_NA {}", listed(&addresses))
            }
            DhcpOption::IaPd(ia) => {
                let prefixes: Vec<String> = ia
                    .prefixes()
                    .map(|one| format!("{} ({}/{} s)", one.net(), one.preferred, one.valid))
                    .collect();
                write!(words, ", IA_PD {}", listed(&prefixes))
            }
            DhcpOption::StatusCode(status) => write!(words, ", {}", status.code),
            DhcpOption::RapidCommit => write!(words, ", Rapid Commit"),
            DhcpOption::Oro(codes) => {
                let codes: Vec<String> =
                    codes.iter().take(MOST_CODES).map(|code| code.0.to_string()).collect();
                write!(words, ", wants options {}", codes.join(" "))
            }
            _ => Ok(()),
        };
    }
    if message.options().get(Code6::CLIENT_FQDN).is_some() {
        words += ", with a name";
    }
    let transaction = message.transaction().0;
    (words, What::Dhcp6 { kind: message.kind(), transaction, elapsed, client_id })
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "empty".to_owned() } else { items.join(", ") }
}
