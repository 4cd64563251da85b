//! Byte vectors, truncation, nesting and round trips.

use super::*;
use proptest::prelude::*;

fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn net(text: &str) -> ipnet::Ipv6Net {
    text.parse().unwrap()
}

const XID: TransactionId = TransactionId([0x12, 0x34, 0x56]);

fn message(bytes: &[u8]) -> Message<'_> {
    match Packet::parse(bytes) {
        Ok(Packet::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn malformed(code: u16, data: &[u8]) -> DhcpOption<'_> {
    DhcpOption::Malformed { code: OptionCode(code), data }
}

#[test]
fn every_option_by_its_octets() {
    let no_options = Options::parse(&[]).unwrap();
    let success = [0, 13, 0, 4, 0, 0, b'o', b'k'];
    #[rustfmt::skip]
    let table: &[(u16, &[u8], DhcpOption<'_>)] = &[
        (1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1], DhcpOption::ClientId(&[0, 3, 0, 1, 2, 0, 0, 0, 0, 1])),
        (2, &[], DhcpOption::ServerId(&[])),
        (3, &[0, 0, 0, 7, 0, 0, 14, 16, 0, 0, 21, 24], DhcpOption::IaNa(IaNa { iaid: 7, t1: 3600, t2: 5400, options: no_options })),
        (3, &[0, 0, 0, 7, 0, 0, 14, 16, 0, 0, 21], malformed(3, &[0, 0, 0, 7, 0, 0, 14, 16, 0, 0, 21])),
        (3, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1], malformed(3, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1])),
        (25, &[255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 13, 0, 4, 0, 0, b'o', b'k'],
         DhcpOption::IaPd(IaPd { iaid: u32::MAX, t1: 0, t2: INFINITY, options: Options::parse(&success).unwrap() })),
        (5, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2],
         DhcpOption::IaAddress(IaAddress { address: addr("2001:db8::9"), preferred: 1, valid: 2, options: no_options })),
        (5, &[0x20, 1], malformed(5, &[0x20, 1])),
        (26, &[0, 0, 0, 1, 0, 0, 0, 2, 56, 0x20, 1, 0x0d, 0xb8, 0, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
         DhcpOption::IaPrefix(IaPrefix { preferred: 1, valid: 2, prefix_length: 56, prefix: addr("2001:db8:0:1ff::"), options: no_options })),
        (26, &[0, 0, 0, 1, 0, 0, 0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
         malformed(26, &[0, 0, 0, 1, 0, 0, 0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (26, &[0, 0, 0, 1, 0, 0, 0, 2, 64], malformed(26, &[0, 0, 0, 1, 0, 0, 0, 2, 64])),
        (6, &[0, 23, 0], malformed(6, &[0, 23, 0])),
        (7, &[255], DhcpOption::Preference(255)),
        (7, &[], malformed(7, &[])),
        (7, &[1, 2], malformed(7, &[1, 2])),
        (8, &[1, 2], DhcpOption::ElapsedTime(258)),
        (8, &[1], malformed(8, &[1])),
        (9, &[1, 2], DhcpOption::RelayMessage(&[1, 2])),
        (11, &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0], malformed(11, &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        (13, &[0], malformed(13, &[0])),
        (14, &[], DhcpOption::RapidCommit),
        (14, &[0], malformed(14, &[0])),
        (15, &[0, 1, 9], DhcpOption::UserClass(&[0, 1, 9])),
        (16, &[0, 0, 1, 0x37, 0, 1, 9], DhcpOption::VendorClass(VendorData { enterprise: 311, data: &[0, 1, 9] })),
        (16, &[0, 0, 1], malformed(16, &[0, 0, 1])),
        (17, &[0, 0, 0, 9], DhcpOption::VendorOptions(VendorData { enterprise: 9, data: &[] })),
        (18, &[7], DhcpOption::InterfaceId(&[7])),
        (19, &[5], DhcpOption::ReconfigureMessage(MessageType::RENEW)),
        (19, &[], malformed(19, &[])),
        (20, &[], DhcpOption::ReconfigureAccept),
        (20, &[1], malformed(20, &[1])),
        (23, &[], malformed(23, &[])),
        (23, &[0; 17], malformed(23, &[0; 17])),
        (32, &[0, 1, 0x51, 0x80], DhcpOption::InformationRefreshTime(86400)),
        (32, &[0, 1, 0x51], malformed(32, &[0, 1, 0x51])),
        (37, &[0, 0, 0, 9, 1], DhcpOption::RemoteId(VendorData { enterprise: 9, data: &[1] })),
        (38, &[1], DhcpOption::SubscriberId(&[1])),
        (39, &[], malformed(39, &[])),
        (67, &[64, 0x80], DhcpOption::PdExclude { prefix_length: 64, subnet: &[0x80] }),
        (67, &[64], malformed(67, &[64])),
        (67, &[129, 1], malformed(67, &[129, 1])),
        (79, &[0, 1, 2, 0, 0, 0, 0, 1], DhcpOption::ClientLinkLayer { hardware: 1, address: &[2, 0, 0, 0, 0, 1] }),
        (79, &[0, 1], malformed(79, &[0, 1])),
        (82, &[0, 0, 14, 16], DhcpOption::SolMaxRt(3600)),
        (82, &[0, 0, 14, 16, 0], malformed(82, &[0, 0, 14, 16, 0])),
        (83, &[0, 0, 14, 16], DhcpOption::InfMaxRt(3600)),
        (103, b"https://a/", DhcpOption::CaptivePortal(b"https://a/")),
        // Unknown, obsolete, and known by name only.
        (4, &[1, 2], DhcpOption::Opaque { code: OptionCode::IA_TA, data: &[1, 2] }),
        (12, &[1, 2], DhcpOption::Opaque { code: OptionCode::UNICAST, data: &[1, 2] }),
        (144, &[0, 1], malformed(144, &[0, 1])),
        (65535, &[1, 2], DhcpOption::Opaque { code: OptionCode(65535), data: &[1, 2] }),
        (0, &[], DhcpOption::Opaque { code: OptionCode(0), data: &[] }),
    ];
    for (code, data, want) in table {
        let mut bytes = vec![7, 0x12, 0x34, 0x56];
        bytes.extend(code.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(*data);
        // Another behind it: what does not have its form is no reason to lose the rest.
        bytes.extend([0, 7, 0, 1, 3]);
        let found: Vec<_> = message(&bytes).options().iter().collect();
        assert_eq!(found, [*want, DhcpOption::Preference(3)], "option {code}");
    }
}

#[test]
fn lists_and_inner_fields() {
    let option = |code: u16, data: &'static [u8]| DhcpOption::decode(OptionCode(code), data);
    let DhcpOption::Oro(codes) = option(6, &[0, 23, 0, 24, 0, 23]) else { panic!() };
    assert!(codes.iter().eq([OptionCode::DNS_SERVERS, OptionCode::DOMAIN_LIST, OptionCode::DNS_SERVERS]));
    let DhcpOption::Oro(codes) = option(6, &[]) else { panic!() };
    assert_eq!(codes.iter().count(), 0);
    let DhcpOption::DnsServers(servers) = option(23, &[1; 32]) else { panic!() };
    assert_eq!(servers.iter().count(), 2);
    let DhcpOption::DomainList(names) = option(24, b"\x01a\x01b\0\x01c\0") else { panic!() };
    assert_eq!(names.iter().collect::<Vec<_>>(), ["a.b", "c"]);
    let DhcpOption::Authentication(auth) = option(11, &[3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 2, 9, 9]) else {
        panic!()
    };
    assert_eq!(
        (auth.protocol(), auth.algorithm(), auth.replay_method()),
        (Authentication::RECONFIGURE_KEY, 1, 0)
    );
    assert_eq!((auth.replay(), auth.information()), ((1 << 32) + 2, &[2, 9, 9][..]));
    let DhcpOption::StatusCode(status) = option(13, b"\0\x06no prefix") else { panic!() };
    assert_eq!(status, Status { code: StatusCode::NO_PREFIX_AVAIL, message: b"no prefix" });
    let DhcpOption::ClientFqdn(fqdn) = option(39, b"\x01\x02pc") else { panic!() };
    assert_eq!((fqdn.flags, fqdn.name().as_deref()), (Fqdn::SERVER_UPDATES, Some("pc")));
    let DhcpOption::ClientFqdn(fqdn) = option(39, &[4]) else { panic!() };
    assert_eq!((fqdn.flags, fqdn.name()), (Fqdn::NO_UPDATE, None));
    let mut data = vec![0, 0, 0, 1, 0, 0, 0, 2, 60];
    data.extend(addr("2001:db8:0:ff:1::").octets());
    let DhcpOption::IaPrefix(prefix) = DhcpOption::decode(OptionCode::IA_PREFIX, &data) else { panic!() };
    assert_eq!(prefix.net(), net("2001:db8:0:f0::/60"), "bits beyond the length are cleared");
}

#[test]
fn no_status_is_success() {
    let status = |bytes: &'static [u8]| Options::parse(bytes).unwrap().status().code;
    assert_eq!(status(&[]), StatusCode::SUCCESS);
    assert_eq!(status(&[0, 13, 0, 2, 0, 3]), StatusCode::NO_BINDING);
    assert_eq!(status(&[0, 13, 0, 2, 0, 1, 0, 13, 0, 2, 0, 3]), StatusCode::UNSPEC_FAIL, "the first counts");
}

/// One message with every option that the builder knows.
fn full(buffer: &mut [u8]) -> &[u8] {
    let duid = Duid::link_layer([2, 0, 0, 0, 0, 1]);
    let mut builder = Builder::message(buffer, MessageType::REPLY, XID);
    builder
        .client_id(&duid)
        .server_id(&Duid::uuid([9; 16]))
        .ia_na(1, 10, 20, |b| {
            b.ia_address(addr("2001:db8::1"), 30, 40, |b| {
                b.status(StatusCode::SUCCESS, "fine");
            })
            .status(StatusCode::NOT_ON_LINK, "");
        })
        .ia_pd(2, 10, 20, |b| {
            b.ia_prefix(net("2001:db8:0:100::/56"), 30, INFINITY, |b| {
                b.option(OptionCode::PD_EXCLUDE, &[64, 0xff]);
            });
        })
        .oro(&[OptionCode::SOL_MAX_RT, OptionCode::DNS_SERVERS])
        .preference(9)
        .elapsed_time(0xffff)
        .status(StatusCode::SUCCESS, "ok")
        .rapid_commit()
        .reconfigure_accept()
        .addresses(OptionCode::DNS_SERVERS, &[addr("2001:db8::53"), addr("fe80::1")])
        .domains(OptionCode::DOMAIN_LIST, &["lan.example", "bad..name", "home.arpa."])
        .number(OptionCode::SOL_MAX_RT, 3600)
        .client_fqdn(Fqdn::SERVER_UPDATES, "pc")
        .option(OptionCode(60000), &[1, 2, 3]);
    builder.finish().unwrap()
}

#[test]
fn what_is_built_reads_back() {
    let mut buffer = [0xaa; 1024];
    let reply = message(full(&mut buffer));
    assert_eq!((reply.kind(), reply.transaction()), (MessageType::REPLY, XID));
    let options = reply.options();
    assert_eq!(options.iter().count(), 15);
    assert!(!options.iter().any(|option| matches!(option, DhcpOption::Malformed { .. })));
    let Some(DhcpOption::IaNa(ia)) = options.find(OptionCode::IA_NA) else { panic!() };
    assert_eq!((ia.iaid, ia.t1, ia.t2, ia.options.status().code), (1, 10, 20, StatusCode::NOT_ON_LINK));
    let addresses: Vec<_> = ia.addresses().collect();
    assert_eq!(addresses.len(), 1);
    assert_eq!(
        (addresses[0].address, addresses[0].preferred, addresses[0].valid),
        (addr("2001:db8::1"), 30, 40)
    );
    assert_eq!(addresses[0].options.status().message, b"fine");
    let Some(DhcpOption::IaPd(ia)) = options.find(OptionCode::IA_PD) else { panic!() };
    let prefix = ia.prefixes().next().unwrap();
    assert_eq!((prefix.net(), prefix.valid), (net("2001:db8:0:100::/56"), INFINITY));
    assert_eq!(
        prefix.options.find(OptionCode::PD_EXCLUDE),
        Some(DhcpOption::PdExclude { prefix_length: 64, subnet: &[0xff] })
    );
    assert!(options.requests(OptionCode::DNS_SERVERS) && !options.requests(OptionCode::DOMAIN_LIST));
    let Some(DhcpOption::DomainList(names)) = options.find(OptionCode::DOMAIN_LIST) else { panic!() };
    assert_eq!(names.iter().collect::<Vec<_>>(), ["lan.example", "home.arpa"]);
    assert_eq!(options.get(OptionCode(60000)), Some(&[1, 2, 3][..]));
    assert_eq!(options.get(OptionCode(60001)), None);
}

#[test]
fn cut_anywhere_it_is_refused_or_whole() {
    let mut buffer = [0; 1024];
    let bytes = full(&mut buffer);
    let ends: Vec<usize> = std::iter::once(4)
        .chain(message(bytes).options().raw().scan(4, |end, (_, data)| {
            *end += 4 + data.len();
            Some(*end)
        }))
        .collect();
    assert_eq!(ends.last(), Some(&bytes.len()));
    for length in 0..=bytes.len() {
        assert_eq!(Packet::parse(&bytes[..length]).is_ok(), ends.contains(&length), "{length}");
    }
    // No room: told once, at the end, whatever the buffer's size.
    for capacity in 0..bytes.len() {
        let mut small = vec![0; capacity];
        let mut builder = Builder::message(&mut small, MessageType::REPLY, XID);
        builder.ia_na(1, 2, 3, |b| {
            b.ia_address(addr("::1"), 1, 2, |_| ());
        });
        builder.option(OptionCode(1), &bytes[..bytes.len() - 48]);
        assert_eq!(builder.finish(), Err(WireError::NoRoom { capacity }));
    }
    for length in 0..RelayMessage::HEADER {
        let mut bytes = vec![0; length];
        if let Some(first) = bytes.first_mut() {
            *first = 12;
        }
        assert!(RelayMessage::parse(&bytes).is_err() && Packet::parse(&bytes).is_err());
    }
}

#[test]
fn an_option_too_long_for_its_length_is_told() {
    let mut buffer = vec![0; 80_000];
    let mut builder = Builder::message(&mut buffer, MessageType::REPLY, XID);
    builder.option(OptionCode(9), &vec![0; 65_535]);
    assert!(builder.finish().is_ok());
    let mut builder = Builder::message(&mut buffer, MessageType::REPLY, XID);
    builder.option(OptionCode(9), &vec![0; 65_536]);
    assert!(builder.finish().is_err());
}

/// `depth` relay agents around a Solicit; the innermost is hop 0.
fn nested(depth: u8) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut inner = Builder::message(&mut buffer, MessageType::SOLICIT, XID).finish().unwrap().to_vec();
    for hop in 0..depth {
        let link = Ipv6Addr::from_bits(u128::from(hop) + 1);
        let mut builder = Builder::relay(&mut buffer, MessageType::RELAY_FORWARD, hop, link, addr("fe80::9"));
        builder.option(OptionCode::INTERFACE_ID, &[hop]).option(OptionCode::RELAY_MSG, &inner);
        inner = builder.finish().unwrap().to_vec();
    }
    inner
}

#[test]
fn relays_nest() {
    for depth in 0..=HOP_COUNT_LIMIT + 24 {
        let bytes = nested(depth);
        let mut packet = Packet::parse(&bytes).unwrap();
        for hop in (0..depth).rev() {
            let Packet::Relay(relay) = packet else { panic!("{packet:?}") };
            assert_eq!((relay.kind(), relay.hop_count()), (MessageType::RELAY_FORWARD, hop));
            assert_eq!(relay.link_address(), Ipv6Addr::from_bits(u128::from(hop) + 1));
            assert_eq!(relay.peer_address(), addr("fe80::9"));
            assert_eq!(relay.options().get(OptionCode::INTERFACE_ID), Some(&[hop][..]));
            packet = relay.relayed().unwrap();
        }
        let Packet::Message(message) = packet else { panic!("{packet:?}") };
        assert_eq!(message.kind(), MessageType::SOLICIT);
    }
}

#[test]
fn a_relay_with_nothing_readable_inside_has_no_packet() {
    let mut buffer = [0; 256];
    for inside in [&[][..], &[1], &[1, 0, 0, 0, 0, 1], &[12, 0]] {
        let mut builder =
            Builder::relay(&mut buffer, MessageType::RELAY_REPLY, 0, addr("::"), addr("fe80::1"));
        builder.option(OptionCode::RELAY_MSG, inside);
        let Ok(Packet::Relay(relay)) = Packet::parse(builder.finish().unwrap()) else { panic!() };
        assert_eq!(relay.relayed(), None, "{inside:?}");
    }
    let bytes =
        Builder::relay(&mut buffer, MessageType::RELAY_REPLY, 0, addr("::"), addr("::")).finish().unwrap();
    assert_eq!(RelayMessage::parse(bytes).unwrap().relayed(), None);
    assert!(Message::parse(bytes).is_err(), "a relay's message is no client's");
    assert!(RelayMessage::parse(&[1; 40]).is_err(), "nor the other way round");
}

#[test]
fn registries_name_their_values() {
    assert_eq!(MessageType::ADDR_REG_INFORM.to_string(), "Addr-reg-inform");
    assert_eq!(MessageType(200).to_string(), "message type 200");
    assert_eq!(OptionCode(148).name(), Some("Address Registration"));
    assert_eq!(OptionCode(10).to_string(), "option 10");
    assert_eq!(StatusCode::NO_PREFIX_AVAIL.to_string(), "NoPrefixAvail");
    // Sorted and without doubles: each value stands once.
    assert!(MessageType::ALL.is_sorted() && OptionCode::ALL.is_sorted() && StatusCode::ALL.is_sorted());
    assert_eq!(MessageType::ALL.len(), 37);
    assert_eq!(OptionCode::ALL.len(), 146, "1 to 148 but for 10 and 35, which are not assigned");
    assert_eq!(StatusCode::ALL.len(), 23);
}

/// An option as it is written, and a way to see that it was read.
#[derive(Debug, Clone)]
enum Item {
    Raw(u16, Vec<u8>),
    IaNa(u32, u32, u32, Vec<(u128, u32, u32)>),
    IaPd(u32, u32, u32, Vec<(u128, u8, u32, u32)>),
    Oro(Vec<u16>),
    Status(u16, String),
    Addresses(Vec<u128>),
    Number(u32),
}

fn item() -> impl Strategy<Value = Item> {
    let octets = || proptest::collection::vec(any::<u8>(), 0..40);
    let of = |what: u8| move |code: u16| if what == 0 { code } else { code % 150 };
    prop_oneof![
        (any::<u16>(), octets()).prop_map(move |(code, data)| Item::Raw(of(0)(code), data)),
        (any::<u16>(), octets()).prop_map(move |(code, data)| Item::Raw(of(1)(code), data)),
        (any::<[u32; 3]>(), proptest::collection::vec(any::<(u128, u32, u32)>(), 0..4))
            .prop_map(|([iaid, t1, t2], inner)| Item::IaNa(iaid, t1, t2, inner)),
        (
            any::<[u32; 3]>(),
            proptest::collection::vec((any::<u128>(), 0..=128u8, any::<u32>(), any::<u32>()), 0..4)
        )
            .prop_map(|([iaid, t1, t2], inner)| Item::IaPd(iaid, t1, t2, inner)),
        proptest::collection::vec(any::<u16>(), 0..20).prop_map(Item::Oro),
        (any::<u16>(), "\\PC{0,20}").prop_map(|(code, words)| Item::Status(code, words)),
        proptest::collection::vec(any::<u128>(), 1..4).prop_map(Item::Addresses),
        any::<u32>().prop_map(Item::Number),
    ]
}

fn write(item: &Item, b: &mut Builder<'_>) {
    match item {
        Item::Raw(code, data) => b.option(OptionCode(*code), data),
        Item::IaNa(iaid, t1, t2, inner) => b.ia_na(*iaid, *t1, *t2, |b| {
            for (address, preferred, valid) in inner {
                b.ia_address(Ipv6Addr::from_bits(*address), *preferred, *valid, |_| ());
            }
        }),
        Item::IaPd(iaid, t1, t2, inner) => b.ia_pd(*iaid, *t1, *t2, |b| {
            for (prefix, length, preferred, valid) in inner {
                let net = ipnet::Ipv6Net::new(Ipv6Addr::from_bits(*prefix), *length).unwrap();
                b.ia_prefix(net, *preferred, *valid, |_| ());
            }
        }),
        Item::Oro(codes) => b.oro(&codes.iter().copied().map(OptionCode).collect::<Vec<_>>()),
        Item::Status(code, words) => b.status(StatusCode(*code), words),
        Item::Addresses(list) => b.addresses(
            OptionCode::DNS_SERVERS,
            &list.iter().map(|a| Ipv6Addr::from_bits(*a)).collect::<Vec<_>>(),
        ),
        Item::Number(value) => b.number(OptionCode::INF_MAX_RT, *value),
    };
}

fn assert_reads(item: &Item, option: DhcpOption<'_>) {
    match (item, option) {
        (Item::Raw(code, data), found) => assert_eq!(found, DhcpOption::decode(OptionCode(*code), data)),
        (Item::IaNa(iaid, t1, t2, inner), DhcpOption::IaNa(ia)) => {
            assert_eq!((ia.iaid, ia.t1, ia.t2), (*iaid, *t1, *t2));
            let found: Vec<_> = ia.addresses().map(|a| (a.address.to_bits(), a.preferred, a.valid)).collect();
            assert_eq!(&found, inner);
        }
        (Item::IaPd(iaid, t1, t2, inner), DhcpOption::IaPd(ia)) => {
            assert_eq!((ia.iaid, ia.t1, ia.t2), (*iaid, *t1, *t2));
            let found: Vec<_> =
                ia.prefixes().map(|p| (p.prefix, p.prefix_length, p.preferred, p.valid)).collect();
            let want = inner.iter().map(|&(prefix, length, preferred, valid)| {
                let net = ipnet::Ipv6Net::new(Ipv6Addr::from_bits(prefix), length).unwrap();
                (net.network(), length, preferred, valid)
            });
            assert!(want.eq(found));
        }
        (Item::Oro(codes), DhcpOption::Oro(found)) => {
            assert!(found.iter().map(|c| c.0).eq(codes.iter().copied()));
        }
        (Item::Status(code, words), DhcpOption::StatusCode(found)) => {
            assert_eq!((found.code.0, found.message), (*code, words.as_bytes()));
        }
        (Item::Addresses(list), DhcpOption::DnsServers(found)) => {
            assert!(found.iter().map(Ipv6Addr::to_bits).eq(list.iter().copied()));
        }
        (Item::Number(value), DhcpOption::InfMaxRt(found)) => assert_eq!(found, *value),
        other => panic!("{other:?}"),
    }
}

/// Calls everything there is to call.
fn walk(packet: Packet<'_>) {
    let mut next = Some(packet);
    while let Some(packet) = next.take() {
        let options = match packet {
            Packet::Message(message) => message.options(),
            Packet::Relay(relay) => {
                next = relay.relayed();
                relay.options()
            }
        };
        let _ = (options.status(), options.requests(OptionCode::ORO));
        for option in options.iter() {
            match option {
                DhcpOption::IaNa(ia) => drop(ia.addresses().map(|a| a.options.status()).collect::<Vec<_>>()),
                DhcpOption::IaPd(ia) => drop(ia.prefixes().map(|p| p.net()).collect::<Vec<_>>()),
                DhcpOption::Oro(codes) => drop(codes.iter().collect::<Vec<_>>()),
                DhcpOption::DnsServers(list) => drop(list.iter().collect::<Vec<_>>()),
                DhcpOption::DomainList(names) => drop(names.iter().collect::<Vec<_>>()),
                DhcpOption::ClientFqdn(fqdn) => drop(fqdn.name()),
                DhcpOption::ClientId(duid) => drop(Duid::new(duid).map(|duid| format!("{:?}", duid.kind()))),
                DhcpOption::Authentication(a) => {
                    let _ = (a.protocol(), a.algorithm(), a.replay_method(), a.replay(), a.information());
                }
                other => drop(format!("{other:?}")),
            }
        }
    }
}

proptest! {
    #[test]
    fn any_message_reads_back(kind in 1..=11u8, xid: [u8; 3], items in proptest::collection::vec(item(), 0..12)) {
        let mut buffer = vec![0; 8192];
        let mut builder = Builder::message(&mut buffer, MessageType(kind), TransactionId(xid));
        for item in &items {
            write(item, &mut builder);
        }
        let message = message(builder.finish().unwrap());
        prop_assert_eq!((message.kind().0, message.transaction().0), (kind, xid));
        prop_assert_eq!(message.options().iter().count(), items.len());
        for (item, option) in items.iter().zip(message.options().iter()) {
            assert_reads(item, option);
        }
    }

    #[test]
    fn any_octets_are_read_without_panic(kind in 0..40u8, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![kind];
        bytes.extend(rest);
        if let Ok(packet) = Packet::parse(&bytes) {
            walk(packet);
        }
    }

    #[test]
    fn any_options_are_read_without_panic(
        items in proptest::collection::vec(item(), 0..8),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut buffer = vec![0; 8192];
        let mut builder = Builder::relay(&mut buffer, MessageType::RELAY_FORWARD, 0, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        builder.container(OptionCode::RELAY_MSG, |b| {
            b.octets(&[1, 2, 3, 4]);
            for item in &items {
                write(item, b);
            }
        });
        let mut bytes = builder.finish().unwrap().to_vec();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            walk(packet);
        }
    }

    #[test]
    fn duid_text_comes_back(octets in proptest::collection::vec(any::<u8>(), 3..=130)) {
        let duid = Duid::new(&octets).unwrap();
        prop_assert_eq!(duid.to_string().parse::<Duid>(), Ok(duid.clone()));
        prop_assert_eq!(duid.as_bytes(), octets);
    }
}
