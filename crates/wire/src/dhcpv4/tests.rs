use super::*;
use crate::dhcpv6::Duid;
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

fn header() -> Header {
    Header {
        op: BOOTREQUEST,
        hardware: Hardware::ethernet(MAC),
        hops: 1,
        xid: 0xdead_beef,
        secs: 3,
        flags: BROADCAST,
        ciaddr: Ipv4Addr::new(192, 0, 2, 1),
        yiaddr: Ipv4Addr::new(192, 0, 2, 2),
        siaddr: Ipv4Addr::new(192, 0, 2, 3),
        giaddr: Ipv4Addr::new(192, 0, 2, 4),
    }
}

fn built(kind: MessageType, content: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut room = [0; 2000];
    let mut b = Builder::new(&mut room, &header(), kind);
    content(&mut b);
    b.finish().unwrap().to_vec()
}

#[test]
fn what_is_built_reads_the_same() {
    let bytes = built(MessageType::DISCOVER, |b| {
        b.client_id(&ClientId::hardware(Hardware::ethernet(MAC)));
        b.request(&[OptionCode::SUBNET_MASK, OptionCode::IPV6_ONLY_PREFERRED]);
        b.address(OptionCode::REQUESTED_ADDRESS, Ipv4Addr::new(192, 0, 2, 9));
        b.number(OptionCode::LEASE_TIME, INFINITY).option(OptionCode::RAPID_COMMIT, &[]);
    });
    assert_eq!(bytes.len(), MIN_MESSAGE);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((*message.header(), message.kind()), (header(), MessageType::DISCOVER));
    let options = message.options();
    assert_eq!(options.get(OptionCode::CLIENT_ID).as_deref(), Some(&[1, 2, 0, 0, 0, 0, 7][..]));
    assert!(options.requests(OptionCode::IPV6_ONLY_PREFERRED) && !options.requests(OptionCode::ROUTERS));
    assert_eq!(options.address(OptionCode::REQUESTED_ADDRESS), Some(Ipv4Addr::new(192, 0, 2, 9)));
    assert_eq!(options.u32(OptionCode::LEASE_TIME), Some(INFINITY));
    assert_eq!(options.find(OptionCode::RAPID_COMMIT), Some(Value::Empty));
    assert_eq!(options.find(OptionCode::ROUTERS), None);
}

#[test]
fn hostile_and_broken_messages_are_refused() {
    let good = built(MessageType::DISCOVER, |_| {});
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Message::parse(&bytes).unwrap_err()
    };
    assert!(matches!(broken(&|b| b.truncate(235)), WireError::Truncated { what: "DHCPv4 header", .. }));
    assert!(matches!(broken(&|b| b.truncate(239)), WireError::Truncated { what: "DHCPv4 magic cookie", .. }));
    assert!(matches!(broken(&|b| b[236] = 0), WireError::BadValue { what: "DHCPv4 magic cookie", .. }));
    assert!(matches!(broken(&|b| b[2] = 17), WireError::BadLength { length: 17, .. }));
    // BOOTP: no message type.
    assert!(matches!(broken(&|b| b[240] = 255), WireError::Truncated { what: "DHCPv4 message type", .. }));
    assert!(matches!(
        broken(&|b| b[241] = 2),
        WireError::BadLength { what: "DHCPv4 message type", length: 2 }
    ));
    assert!(matches!(
        broken(&|b| b.splice(243.., [12, 200, 1]).for_each(drop)),
        WireError::Truncated { what: "DHCPv4 option", need: 200, have: 1 }
    ));
    assert!(matches!(
        broken(&|b| b.splice(243.., [12]).for_each(drop)),
        WireError::Truncated { what: "DHCPv4 option header", .. }
    ));
    // End is missing: tolerated.
    assert!(Message::parse(&good[..243]).is_ok());
    // A name that is not printable is none.
    let odd = built(MessageType::DISCOVER, |b| {
        b.option(OptionCode::HOST_NAME, b"pc\x1b[2J").option(OptionCode::DOMAIN_NAME, b"lan\0\0");
    });
    let options = Message::parse(&odd).unwrap().options();
    assert_eq!(options.text(OptionCode::HOST_NAME), None);
    assert_eq!(options.text(OptionCode::DOMAIN_NAME).as_deref(), Some("lan"));
}

/// RFC 3396: pieces are put together, those in `file` and `sname` behind those in the options field, in that
/// order.
#[test]
fn overloaded_and_long_options_are_one() {
    let mut bytes = built(MessageType::REQUEST, |b| {
        b.option(OptionCode::OVERLOAD, &[3]).option(OptionCode::VENDOR_SPECIFIC, b"one ");
        b.option(OptionCode::HOST_NAME, b"pc").option(OptionCode::VENDOR_SPECIFIC, b"two ");
    });
    bytes[108..116].copy_from_slice(&[43, 5, b't', b'h', b'r', b'e', b'e', 255]);
    bytes[44..51].copy_from_slice(&[0, 43, 3, b'4', b'.', b'.', 0]);
    let options = Message::parse(&bytes).unwrap().options();
    assert_eq!(options.get(OptionCode::VENDOR_SPECIFIC).as_deref(), Some(&b"one two three4.."[..]));
    // Without the option, the same octets are a file name.
    let at = bytes.windows(3).position(|w| w == [52, 1, 3]).unwrap();
    for (overload, whole) in [(0, &b"one two "[..]), (1, b"one two three"), (2, b"one two 4..")] {
        bytes[at + 2] = overload;
        let options = Message::parse(&bytes).unwrap().options();
        assert_eq!(options.get(OptionCode::VENDOR_SPECIFIC).as_deref(), Some(whole), "{overload}");
    }
    // An overrun inside of them is as bad as one in the options.
    bytes[at + 2] = 1;
    bytes[109] = 200;
    assert!(Message::parse(&bytes).is_err());
}

#[test]
fn long_options_are_cut_and_room_is_told() {
    let long: Vec<u8> = (0..600_u32).map(|i| i as u8).collect();
    let bytes = built(MessageType::ACK, |b| {
        b.option(OptionCode::CAPTIVE_PORTAL, &long);
    });
    let options = Message::parse(&bytes).unwrap().options();
    assert_eq!(options.get(OptionCode::CAPTIVE_PORTAL).as_deref(), Some(&long[..]));
    let lengths: Vec<_> = options.pieces().map(|(_, data)| data.len()).collect();
    assert_eq!(lengths, [1, 255, 255, 90]);

    for (size, length) in [(300, 300 - 243 - 3), (548, 548 - 243 - 5)] {
        let mut room = vec![0; size];
        let mut b = Builder::new(&mut room, &header(), MessageType::ACK);
        assert!(b.has_room(length) && !b.has_room(length + 1));
        b.option(OptionCode::MESSAGE, &vec![b'x'; length]);
        assert_eq!(b.finish().unwrap().len(), size);
        let mut b = Builder::new(&mut room, &header(), MessageType::ACK);
        b.option(OptionCode::MESSAGE, &vec![b'x'; length + 1]);
        assert_eq!(b.finish(), Err(WireError::NoRoom { capacity: size }));
    }
    assert!(Builder::new(&mut [0; 20], &header(), MessageType::ACK).finish().is_err());
}

#[test]
fn values_have_the_form_of_the_registry() {
    let decode = |code: OptionCode, data: &'static [u8]| Value::decode(code, data.into());
    for (code, data, value) in [
        (OptionCode::SERVER_ID, &[192, 0, 2, 1][..], Value::Address(Ipv4Addr::new(192, 0, 2, 1))),
        (
            OptionCode::ROUTERS,
            &[192, 0, 2, 1, 192, 0, 2, 2],
            Value::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]),
        ),
        (OptionCode::AUTO_CONFIGURE, &[1], Value::Number(1)),
        (OptionCode::MTU, &[5, 220], Value::Number(1500)),
        (OptionCode::IPV6_ONLY_PREFERRED, &[0, 0, 7, 8], Value::Number(1800)),
        (OptionCode::HOST_NAME, b"pc\0", Value::Text("pc".into())),
        (OptionCode::PARAMETER_REQUEST_LIST, &[1, 108], Value::Codes(vec![OptionCode(1), OptionCode(108)])),
        (OptionCode(224), &[1, 2], Value::Opaque((&[1, 2]).into())),
        (OptionCode::IPV6_ONLY_PREFERRED, &[0, 0, 7], Value::Malformed((&[0, 0, 7]).into())),
        (OptionCode::ROUTERS, &[1, 2, 3], Value::Malformed((&[1, 2, 3]).into())),
        (OptionCode::DNS_SERVERS, &[], Value::Malformed((&[]).into())),
        (OptionCode::RAPID_COMMIT, &[1], Value::Malformed((&[1]).into())),
        (OptionCode::HOST_NAME, &[0xff], Value::Malformed((&[0xff]).into())),
    ] {
        assert_eq!(decode(code, data), value, "{code}");
    }
    assert_eq!(
        (OptionCode(108).to_string(), OptionCode(224).to_string().as_str()),
        ("IPv6-Only Preferred".into(), "option 224")
    );
}

#[test]
fn client_ids_are_told_apart_and_print() {
    let duid = Duid::link_layer(MAC);
    let id = ClientId::duid(0x0a0b_0c0d, &duid);
    assert_eq!(id.to_string(), "ff:0a:0b:0c:0d:00:03:00:01:02:00:00:00:00:07");
    assert_eq!(id.to_string().parse(), Ok(id.clone()));
    assert_eq!(id.kind(), ClientIdKind::Duid { iaid: 0x0a0b_0c0d, duid });
    let hardware = Hardware::ethernet(MAC);
    assert_eq!(ClientId::hardware(hardware).kind(), ClientIdKind::Hardware(hardware));
    assert_eq!((hardware.as_ethernet(), hardware.to_string().as_str()), (Some(MAC), "02:00:00:00:00:07"));
    for other in [&[0, b'p', b'c'][..], &[1, 2, 3], &[255, 0, 0, 0, 1, 0], &[6, 1, 2, 3, 4, 5, 6]] {
        assert_eq!(ClientId::new(other).unwrap().kind(), ClientIdKind::Other(other));
    }
    assert_eq!(ClientId::new(&[1]), Err(ClientIdError::Length { length: 1 }));
    assert_eq!(ClientId::new(&[1; 256]), Err(ClientIdError::Length { length: 256 }));
    for text in ["", "1", "01", "01:", "01:2", "01:+2", "01 02", "é1:02"] {
        assert!(text.parse::<ClientId>().is_err(), "{text:?}");
    }
    assert_eq!(Hardware::new(1, &[0; 17]), None);
    assert_eq!(Hardware::new(32, &[0; 16]).unwrap().as_ethernet(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(&bytes);
        // Past the header, whatever the options are.
        let mut message = built(MessageType::DISCOVER, |_| {});
        message.truncate(243);
        message.extend(&bytes);
        if let Ok(message) = Message::parse(&message) {
            for (code, _) in message.options().pieces() {
                prop_assert!(message.options().find(code).is_some());
            }
        }
    }

    #[test]
    fn any_options_come_back(
        options in proptest::collection::vec(
            (1_u8..=254, proptest::collection::vec(any::<u8>(), 0..300)), 0..4),
    ) {
        // Neither Overload, which points elsewhere, nor the message type, which is there already.
        prop_assume!(options.iter().all(|(code, _)| ![52, 53].contains(code)));
        let bytes = built(MessageType::ACK, |b| {
            for (code, data) in &options {
                b.option(OptionCode(*code), data);
            }
        });
        let read = Message::parse(&bytes).unwrap().options();
        for (code, _) in &options {
            let whole: Vec<u8> = options.iter().filter(|o| o.0 == *code).flat_map(|o| o.1.clone()).collect();
            prop_assert_eq!(read.get(OptionCode(*code)).map(std::borrow::Cow::into_owned), Some(whole));
        }
    }
}
