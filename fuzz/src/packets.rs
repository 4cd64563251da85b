//! Packets: every view is walked, every getter called; what was read is built again and must read the same.

use sixgate_wire::dhcpv4::{self, ClientId, Value};
use sixgate_wire::dhcpv6::{self, DhcpOption, Duid, Packet, leasequery};
use sixgate_wire::domain::{self, DomainNames};
use sixgate_wire::ndp::{self, NdOption};
use std::hint::black_box;

/// Room for any packet that libFuzzer gives, built again.
const ROOM: usize = 70_000;

/// A DHCPv6 packet as it comes in a datagram, or one after another as on a TCP connection.
pub fn dhcpv6(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(message) = leasequery::frame(rest) {
        assert_eq!(leasequery::framed(message).as_deref(), Ok(&rest[..2 + message.len()]));
        rest = &rest[2 + message.len()..];
    }
    let mut next = Packet::parse(bytes).ok();
    // A packet inside of a relay's is shorter than that by its header: this ends.
    while let Some(packet) = next.take() {
        let mut buffer = vec![0; ROOM];
        let (mut builder, options) = match packet {
            Packet::Message(message) => (
                dhcpv6::Builder::message(&mut buffer, message.kind(), message.transaction()),
                message.options(),
            ),
            Packet::Relay(relay) => {
                next = relay.relayed();
                let (link, peer) = (relay.link_address(), relay.peer_address());
                (
                    dhcpv6::Builder::relay(&mut buffer, relay.kind(), relay.hop_count(), link, peer),
                    relay.options(),
                )
            }
        };
        walk_dhcpv6(options, 0);
        rebuild_dhcpv6(options, &mut builder);
        let again = builder.finish().expect("it fitted into a datagram before");
        let again = Packet::parse(again).expect("what the builder writes can be read");
        match (packet, again) {
            (Packet::Message(a), Packet::Message(b)) => {
                assert_eq!((a.kind(), a.transaction()), (b.kind(), b.transaction()));
                same_dhcpv6(a.options(), b.options());
            }
            (Packet::Relay(a), Packet::Relay(b)) => {
                assert_eq!((a.kind(), a.hop_count()), (b.kind(), b.hop_count()));
                assert_eq!((a.link_address(), a.peer_address()), (b.link_address(), b.peer_address()));
                same_dhcpv6(a.options(), b.options());
            }
            other => panic!("another kind of packet: {other:?}"),
        }
    }
}

/// Calls every getter. Options nest: IA, address or prefix, their options.
fn walk_dhcpv6(options: dhcpv6::Options<'_>, depth: u8) {
    black_box((options.status(), options.requests(dhcpv6::OptionCode::ORO)));
    assert_eq!(options.iter().count(), options.raw().count());
    for option in options.iter() {
        match option {
            DhcpOption::ClientId(octets) | DhcpOption::ServerId(octets) => {
                if let Ok(duid) = Duid::new(octets) {
                    black_box(duid.kind());
                    assert_eq!(duid.to_string().parse(), Ok(duid));
                }
            }
            DhcpOption::IaNa(ia) => {
                black_box(ia.addresses().count());
                descend(ia.options, depth);
            }
            DhcpOption::IaPd(ia) => {
                for prefix in ia.prefixes() {
                    assert_eq!(prefix.net(), prefix.net().trunc());
                }
                descend(ia.options, depth);
            }
            DhcpOption::IaAddress(address) => descend(address.options, depth),
            DhcpOption::IaPrefix(prefix) => descend(prefix.options, depth),
            DhcpOption::Authentication(auth) => {
                black_box((auth.protocol(), auth.algorithm(), auth.replay_method(), auth.replay()));
                black_box(auth.information());
            }
            DhcpOption::LeaseQuery(query) => descend(query.options, depth),
            DhcpOption::ClientData(data) => descend(data, depth),
            DhcpOption::LqRelayData(relay) => {
                if let Ok(kept) = leasequery::without_relayed(relay.message) {
                    assert!(kept.len() <= relay.message.len() && Packet::parse(&kept).is_ok());
                }
            }
            DhcpOption::LqClientLink(links) => {
                black_box(links.iter().count());
            }
            DhcpOption::DomainList(names) => walk_names(names),
            DhcpOption::ClientFqdn(fqdn) => {
                black_box(fqdn.name());
            }
            other => {
                black_box(format!("{other:?}"));
            }
        }
    }
}

fn descend(options: dhcpv6::Options<'_>, depth: u8) {
    // Nothing nests deeper than this, but an attacker may write it so.
    if depth < 8 {
        walk_dhcpv6(options, depth + 1);
    }
}

/// What is read can be written, and then reads the same.
fn walk_names(names: DomainNames<'_>) {
    for name in &names {
        let mut octets = Vec::new();
        assert!(domain::encode(&name, &mut octets), "{name}");
        assert_eq!(DomainNames::new(&octets).iter().next(), Some(name));
    }
}

/// Builds options again by their own verbs where there are such, and otherwise from their octets.
fn rebuild_dhcpv6(options: dhcpv6::Options<'_>, b: &mut dhcpv6::Builder<'_>) {
    for ((code, data), option) in options.raw().zip(options.iter()) {
        match option {
            DhcpOption::IaNa(ia) => b.ia_na(ia.iaid, ia.t1, ia.t2, |b| rebuild_raw(ia.options, b)),
            DhcpOption::IaPd(ia) => b.ia_pd(ia.iaid, ia.t1, ia.t2, |b| rebuild_raw(ia.options, b)),
            DhcpOption::Oro(codes) => b.oro(&codes.iter().collect::<Vec<_>>()),
            DhcpOption::Preference(value) => b.preference(value),
            DhcpOption::ElapsedTime(hundredths) => b.elapsed_time(hundredths),
            DhcpOption::RapidCommit => b.rapid_commit(),
            DhcpOption::ReconfigureAccept => b.reconfigure_accept(),
            DhcpOption::LeaseQuery(query) => {
                b.lease_query(query.kind, query.link_address, |b| rebuild_raw(query.options, b))
            }
            DhcpOption::ClientData(data) => b.client_data(|b| rebuild_raw(data, b)),
            DhcpOption::LqRelayData(relay) => b.relay_data(relay.peer_address, relay.message),
            DhcpOption::DnsServers(list) | DhcpOption::LqClientLink(list) => {
                b.addresses(code, &list.iter().collect::<Vec<_>>())
            }
            DhcpOption::SolMaxRt(value)
            | DhcpOption::CltTime(value)
            | DhcpOption::LqBaseTime(value)
            | DhcpOption::LqStartTime(value)
            | DhcpOption::LqEndTime(value)
            | DhcpOption::InfMaxRt(value)
            | DhcpOption::InformationRefreshTime(value) => b.number(code, value),
            _ => b.option(code, data),
        };
    }
}

fn rebuild_raw(options: dhcpv6::Options<'_>, b: &mut dhcpv6::Builder<'_>) {
    for (code, data) in options.raw() {
        b.option(code, data);
    }
}

fn same_dhcpv6(a: dhcpv6::Options<'_>, b: dhcpv6::Options<'_>) {
    assert_eq!(a.as_bytes(), b.as_bytes());
}

/// A DHCPv4 message as it comes in a datagram.
pub fn dhcpv4(bytes: &[u8]) {
    let Ok(message) = dhcpv4::Message::parse(bytes) else { return };
    let options = message.options();
    black_box((message.header().hardware.to_string(), options.requested()));
    let mut buffer = vec![0; ROOM];
    let mut builder = dhcpv4::Builder::new(&mut buffer, message.header(), message.kind());
    // What was in three places, and in pieces, is put together. Overload would point to where nothing is any more, and the
    // builder writes the message type itself.
    let own = [dhcpv4::OptionCode::OVERLOAD, dhcpv4::OptionCode::MESSAGE_TYPE];
    let codes: std::collections::BTreeSet<_> =
        options.pieces().map(|(code, _)| code).filter(|code| !own.contains(code)).collect();
    for &code in &codes {
        let data = options.get(code).expect("it is there");
        match Value::decode(code, data.clone()) {
            Value::Address(address) => builder.address(code, address),
            Value::Addresses(addresses) => builder.addresses(code, &addresses),
            Value::Number(number) if data.len() == 4 => builder.number(code, number),
            _ => builder.option(code, &data),
        };
        black_box(options.text(code));
    }
    if let Some(id) = options.get(dhcpv4::OptionCode::CLIENT_ID).and_then(|id| ClientId::new(&id).ok()) {
        black_box(id.kind());
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let again = builder.finish().expect("it fitted into a datagram before");
    let again = dhcpv4::Message::parse(again).expect("what the builder writes can be read");
    assert_eq!((message.header(), message.kind()), (again.header(), again.kind()));
    for &code in &codes {
        assert_eq!(options.get(code), again.options().get(code), "{code}");
    }
}

/// A Neighbour Discovery message as it comes from an ICMPv6 socket.
pub fn ndp(bytes: &[u8]) {
    let Ok(message) = ndp::Message::parse(bytes) else { return };
    let mut buffer = vec![0; ROOM];
    let mut builder = match message {
        ndp::Message::RouterSolicitation(_) => ndp::Builder::router_solicitation(&mut buffer),
        ndp::Message::RouterAdvertisement(ra) => {
            let header = ndp::RouterAdvertisementHeader {
                hop_limit: ra.hop_limit(),
                managed: ra.managed(),
                other: ra.other(),
                preference: ra.preference(),
                router_lifetime: ra.router_lifetime(),
                reachable_time: ra.reachable_time(),
                retrans_timer: ra.retrans_timer(),
            };
            ndp::Builder::router_advertisement(&mut buffer, &header)
        }
        ndp::Message::NeighborSolicitation(ns) => {
            ndp::Builder::neighbor_solicitation(&mut buffer, ns.target())
        }
        ndp::Message::NeighborAdvertisement(na) => ndp::Builder::neighbor_advertisement(
            &mut buffer,
            na.target(),
            na.router(),
            na.solicited(),
            na.overrides(),
        ),
        ndp::Message::Redirect(redirect) => {
            ndp::Builder::redirect(&mut buffer, redirect.target(), redirect.destination())
        }
    };
    let options = message.options();
    assert_eq!(options.iter().count(), options.raw().count());
    for ((kind, data), option) in options.raw().zip(options.iter()) {
        black_box(kind.name());
        match option {
            NdOption::SourceLinkLayer(address) => builder.source_link_layer(address),
            NdOption::TargetLinkLayer(address) => builder.target_link_layer(address),
            NdOption::PrefixInformation(prefix) => {
                assert_eq!(prefix.prefix(), prefix.prefix().trunc());
                builder.prefix_information(&prefix)
            }
            NdOption::Mtu(mtu) => builder.mtu(mtu),
            NdOption::RouteInformation(route) => {
                builder.route_information(route.prefix, route.preference, route.lifetime)
            }
            NdOption::Rdnss(rdnss) => {
                builder.rdnss(rdnss.lifetime, &rdnss.addresses.iter().collect::<Vec<_>>())
            }
            NdOption::Dnssl(dnssl) => {
                walk_names(dnssl.names);
                builder.option(kind, data)
            }
            NdOption::Pref64(pref64) => builder.pref64(pref64.prefix, u32::from(pref64.lifetime)),
            _ => builder.option(kind, data),
        };
    }
    let again = builder.finish().expect("it fitted into a packet before");
    let again = ndp::Message::parse(again).expect("what the builder writes can be read");
    assert_eq!(std::mem::discriminant(&message), std::mem::discriminant(&again));
    assert_eq!(options.raw().count(), again.options().raw().count());
    for (a, b) in options.iter().zip(again.options().iter()) {
        match (a, b) {
            // Bits beyond the length are not sent unless they are an address of the router's.
            (NdOption::PrefixInformation(a), NdOption::PrefixInformation(b)) => {
                assert_eq!(a.prefix(), b.prefix());
                assert_eq!((a.valid, a.preferred, a.on_link), (b.valid, b.preferred, b.on_link));
            }
            (a, b) => assert_eq!(a, b),
        }
    }
}
