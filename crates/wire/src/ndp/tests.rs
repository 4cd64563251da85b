//! Byte vectors and round trips.

use super::*;

fn net(text: &str) -> ipnet::Ipv6Net {
    text.parse().unwrap()
}

fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn advertisement(bytes: &[u8]) -> RouterAdvertisement<'_> {
    match Message::parse(bytes) {
        Ok(Message::RouterAdvertisement(advertisement)) => advertisement,
        other => panic!("{other:?}"),
    }
}

const HEADER: [u8; 16] = [134, 0, 0, 0, 64, 0xc8, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 3, 0xe8];

fn with_option(option: &[u8]) -> Vec<u8> {
    [&HEADER, option].concat()
}

#[test]
fn reads_the_header_of_a_router_advertisement() {
    let ra = advertisement(&HEADER);
    assert_eq!(ra.hop_limit(), 64);
    assert!(ra.managed() && ra.other());
    assert_eq!(ra.preference(), Preference::High);
    assert_eq!((ra.router_lifetime(), ra.reachable_time(), ra.retrans_timer()), (1800, 30000, 1000));
    assert_eq!(ra.options().iter().count(), 0);
}

#[test]
fn preference_bits() {
    for (flags, want) in [
        (0x00, Preference::Medium),
        (0x08, Preference::High),
        (0x10, Preference::Medium),
        (0x18, Preference::Low),
    ] {
        let mut bytes = HEADER;
        bytes[5] = flags;
        assert_eq!(advertisement(&bytes).preference(), want, "{flags:#x}");
    }
    assert!(Preference::Low < Preference::Medium && Preference::Medium < Preference::High);
}

#[test]
fn decodes_options() {
    #[rustfmt::skip]
    let table: &[(&[u8], NdOption<'_>)] = &[
        (&[1, 1, 2, 0, 0, 0, 0, 1], NdOption::SourceLinkLayer(&[2, 0, 0, 0, 0, 1])),
        (&[2, 1, 2, 0, 0, 0, 0, 1], NdOption::TargetLinkLayer(&[2, 0, 0, 0, 0, 1])),
        (&[3, 4, 64, 0xd0, 0, 0, 0x15, 0x18, 0, 0, 0x0a, 0x8c, 0, 0, 0, 0,
           0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9],
         NdOption::PrefixInformation(PrefixInformation {
             address: Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 9), length: 64, on_link: true, autonomous: true,
             router_address: false, pd_preferred: true, valid: 5400, preferred: 2700 })),
        (&[4, 2, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], NdOption::RedirectedHeader(&[1, 2, 3, 4, 5, 6, 7, 8])),
        (&[5, 1, 0, 0, 0, 0, 5, 0xdc], NdOption::Mtu(1500)),
        (&[5, 2, 0, 0, 0, 0, 5, 0xdc, 0, 0, 0, 0, 0, 0, 0, 0],
         NdOption::Malformed { kind: OptionKind::MTU, data: &[0, 0, 0, 0, 5, 0xdc, 0, 0, 0, 0, 0, 0, 0, 0] }),
        (&[24, 1, 0, 0x18, 0, 0, 7, 8],
         NdOption::RouteInformation(RouteInformation { prefix: "::/0".parse().unwrap(), preference: Preference::Low, lifetime: 1800 })),
        (&[24, 2, 48, 0x08, 0, 0, 7, 8, 0xfd, 0, 0, 1, 0, 2, 0xff, 0xff],
         NdOption::RouteInformation(RouteInformation { prefix: "fd00:1:2::/48".parse().unwrap(), preference: Preference::High, lifetime: 1800 })),
        (&[24, 1, 48, 0, 0, 0, 7, 8], NdOption::Malformed { kind: OptionKind::ROUTE_INFORMATION, data: &[48, 0, 0, 0, 7, 8] }),
        (&[24, 1, 0, 0x10, 0, 0, 7, 8], NdOption::Malformed { kind: OptionKind::ROUTE_INFORMATION, data: &[0, 0x10, 0, 0, 7, 8] }),
        (&[25, 1, 0, 0, 0, 0, 0, 9], NdOption::Malformed { kind: OptionKind::RDNSS, data: &[0, 0, 0, 0, 0, 9] }),
        (&[37, 2, b'h', b't', b't', b'p', b's', b':', b'/', b'/', b'a', b'/', 0, 0, 0, 0], NdOption::CaptivePortal(b"https://a/")),
        (&[38, 2, 0x07, 0x08, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
         NdOption::Pref64(Pref64 { prefix: "64:ff9b::/96".parse().unwrap(), lifetime: 1800 })),
        (&[38, 2, 0x07, 0x0e, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
         NdOption::Malformed { kind: OptionKind::PREF64, data: &[0x07, 0x0e, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0] }),
        (&[14, 1, 1, 2, 3, 4, 5, 6], NdOption::Nonce(&[1, 2, 3, 4, 5, 6])),
        (&[26, 1, 1, 2, 3, 4, 5, 6], NdOption::Unknown { kind: OptionKind(26), data: &[1, 2, 3, 4, 5, 6] }),
    ];
    for (bytes, want) in table {
        let message = with_option(bytes);
        let found: Vec<_> = advertisement(&message).options().iter().collect();
        assert_eq!(found, [*want]);
    }
}

#[test]
fn decodes_dns_options() {
    let mut rdnss = vec![25, 5, 0, 0, 0, 0, 7, 8];
    rdnss.extend(addr("2001:db8::53").octets());
    rdnss.extend(addr("fe80::1").octets());
    let message = with_option(&rdnss);
    let Some(NdOption::Rdnss(found)) = advertisement(&message).options().find(OptionKind::RDNSS) else {
        panic!()
    };
    assert_eq!(found.lifetime, 1800);
    assert_eq!(found.addresses.iter().collect::<Vec<_>>(), [addr("2001:db8::53"), addr("fe80::1")]);

    let message = with_option(&[
        31, 3, 0, 0, 0, 0, 7, 8, 4, b'h', b'o', b'm', b'e', 4, b'a', b'r', b'p', b'a', 0, 0, 0, 0, 0, 0,
    ]);
    let Some(NdOption::Dnssl(found)) = advertisement(&message).options().find(OptionKind::DNSSL) else {
        panic!()
    };
    assert_eq!(found.lifetime, 1800);
    assert_eq!(found.names.iter().collect::<Vec<_>>(), ["home.arpa"]);
}

#[test]
fn a_prefix_longer_than_an_address_is_malformed() {
    let mut option = [0; 32];
    option[..3].copy_from_slice(&[3, 4, 129]);
    assert!(matches!(
        advertisement(&with_option(&option)).options().iter().next(),
        Some(NdOption::Malformed { .. })
    ));
}

#[test]
fn invalid_messages_are_refused() {
    let mut coded = HEADER;
    coded[1] = 1;
    let mut multicast_target = vec![135, 0, 0, 0, 0, 0, 0, 0];
    multicast_target.extend(ALL_NODES.octets());
    let table: &[(&[u8], &str)] = &[
        (&[], "empty"),
        (&HEADER[..15], "cut header"),
        (&[133, 0, 0, 0, 0, 0, 0], "cut solicitation"),
        (&coded, "code"),
        (&with_option(&[1, 0, 0, 0, 0, 0, 0, 0]), "length zero"),
        (&with_option(&[1, 2, 0, 0, 0, 0, 0, 0]), "overrun"),
        (&with_option(&[1]), "half an option"),
        (&[128, 0, 0, 0, 0, 0, 0, 0], "echo"),
        (&multicast_target, "multicast target"),
    ];
    for (bytes, what) in table {
        assert!(Message::parse(bytes).is_err(), "{what}");
    }
}

#[test]
fn a_built_advertisement_reads_back() {
    let header = RouterAdvertisementHeader {
        hop_limit: 64,
        managed: true,
        preference: Preference::Low,
        router_lifetime: 2700,
        reachable_time: 30_000,
        ..Default::default()
    };
    let prefix = PrefixInformation {
        address: addr("2001:db8:0:1::5"),
        length: 64,
        on_link: true,
        autonomous: false,
        router_address: false,
        pd_preferred: true,
        valid: INFINITY,
        preferred: 7,
    };
    let mut buffer = [0xaa; 512];
    let mut builder = Builder::router_advertisement(&mut buffer, &header);
    builder
        .source_link_layer(&[2, 0, 0, 0, 0, 1])
        .mtu(1492)
        .prefix_information(&prefix)
        .route_information(net("fd00::/8"), Preference::Medium, 900)
        .rdnss(1800, &[addr("fe80::1")])
        .rdnss(1800, &[])
        .dnssl(1800, &["lan.example", "home.arpa"])
        .captive_portal("https://portal.example/api")
        .pref64(net("64:ff9b::/96"), 601);
    let bytes = builder.finish().unwrap();
    let ra = advertisement(bytes);
    assert_eq!(
        (ra.hop_limit(), ra.managed(), ra.other(), ra.preference()),
        (64, true, false, Preference::Low)
    );
    let options: Vec<_> = ra.options().iter().collect();
    assert_eq!(options.len(), 8);
    assert_eq!(options[0], NdOption::SourceLinkLayer(&[2, 0, 0, 0, 0, 1]));
    assert_eq!(options[1], NdOption::Mtu(1492));
    assert_eq!(
        options[2],
        NdOption::PrefixInformation(PrefixInformation { address: addr("2001:db8:0:1::"), ..prefix })
    );
    assert_eq!(
        options[3],
        NdOption::RouteInformation(RouteInformation {
            prefix: net("fd00::/8"),
            preference: Preference::Medium,
            lifetime: 900
        })
    );
    assert!(
        matches!(options[4], NdOption::Rdnss(r) if r.lifetime == 1800 && r.addresses.iter().eq([addr("fe80::1")]))
    );
    assert!(matches!(options[5], NdOption::Dnssl(d) if d.names.iter().eq(["lan.example", "home.arpa"])));
    assert_eq!(options[6], NdOption::CaptivePortal(b"https://portal.example/api"));
    assert_eq!(options[7], NdOption::Pref64(Pref64 { prefix: net("64:ff9b::/96"), lifetime: 608 }));
}

#[test]
fn a_router_that_is_none_has_medium_preference() {
    let header = RouterAdvertisementHeader { preference: Preference::High, ..Default::default() };
    let mut buffer = [0; 16];
    let bytes = Builder::router_advertisement(&mut buffer, &header).finish().unwrap();
    assert_eq!(bytes[5], 0);
}

#[test]
fn builds_the_other_messages() {
    let mut buffer = [0; 128];
    let target = addr("fe80::2");

    let mut b = Builder::neighbor_solicitation(&mut buffer, target);
    b.nonce(&[1, 2, 3, 4, 5, 6]);
    let Ok(Message::NeighborSolicitation(ns)) = Message::parse(b.finish().unwrap()) else { panic!() };
    assert_eq!(ns.target(), target);
    assert_eq!(ns.options().find(OptionKind::NONCE), Some(NdOption::Nonce(&[1, 2, 3, 4, 5, 6])));

    let mut b = Builder::neighbor_advertisement(&mut buffer, target, true, false, true);
    b.target_link_layer(&[2, 0, 0, 0, 0, 1]);
    let Ok(Message::NeighborAdvertisement(na)) = Message::parse(b.finish().unwrap()) else { panic!() };
    assert_eq!((na.router(), na.solicited(), na.overrides(), na.target()), (true, false, true, target));

    let mut b = Builder::redirect(&mut buffer, target, addr("2001:db8::1"));
    b.redirected_header(&[0x60; 40]);
    let Ok(Message::Redirect(redirect)) = Message::parse(b.finish().unwrap()) else { panic!() };
    assert_eq!((redirect.target(), redirect.destination()), (target, addr("2001:db8::1")));
    assert_eq!(
        redirect.options().find(OptionKind::REDIRECTED_HEADER),
        Some(NdOption::RedirectedHeader(&[0x60; 40]))
    );

    let mut b = Builder::router_solicitation(&mut buffer);
    b.source_link_layer(&[2, 0, 0, 0, 0, 1]);
    assert_eq!(b.finish().unwrap(), [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn what_cannot_be_written_is_told() {
    let mut small = [0; 12];
    assert!(
        Builder::router_advertisement(&mut small, &RouterAdvertisementHeader::default()).finish().is_err()
    );
    let mut buffer = [0; 4096];
    let mut b = Builder::router_solicitation(&mut buffer);
    b.option(OptionKind(99), &[0; 2039]);
    assert!(b.finish().is_err(), "an option of more than 255 units");
    let mut b = Builder::router_solicitation(&mut buffer);
    b.pref64(net("2001:db8::/97"), 60);
    assert!(b.finish().is_err(), "a prefix length without a code");
}

#[test]
fn pref64_lifetimes_are_scaled() {
    for (seconds, want) in
        [(0, 0), (1, 8), (1800, 1800), (65_528, 65_528), (65_529, 65_528), (u32::MAX, 65_528)]
    {
        assert_eq!(pref64_lifetime(seconds), want);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(kind in 133u8..=137, rest in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(rest);
        if let Ok(message) = Message::parse(&bytes) {
            for option in message.options().iter() {
                if let NdOption::Dnssl(names) = option {
                    assert!(names.names.iter().count() <= 300);
                }
            }
        }
    }

    #[test]
    fn any_options_are_decoded_without_panic(kind in proptest::num::u8::ANY, data in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
        let _ = format!("{:?}", NdOption::decode(OptionKind(kind), &data));
    }
}
