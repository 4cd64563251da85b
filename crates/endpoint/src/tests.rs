use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};

#[test]
fn one_text_for_each() {
    for (given, printed) in [
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:53", "[2001:db8::1]:53"),
        ("[::]:0", "[::]:0"),
        // RFC 5952 sections 4.1, 4.2.1, 4.2.2, 4.2.3 and 4.3.
        ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8::ABCD", "2001:db8::abcd"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("::192.0.2.1", "::c000:201"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1:80"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%007", "fe80::1%7"),
        ("[FE80::1%br-lan.5]:547", "[fe80::1%br-lan.5]:547"),
        ("ff02::1:2%lan0", "ff02::1:2%lan0"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:65535", "192.0.2.1:65535"),
    ] {
        let endpoint: Endpoint = given.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(endpoint.to_string(), printed, "{given}");
    }
}

#[test]
fn what_is_none_is_refused_with_its_reason() {
    for (text, reason) in [
        ("", Reason::Address),
        ("x", Reason::Address),
        ("localhost:53", Reason::Address),
        ("1.2.3", Reason::Address),
        ("192.0.2.01", Reason::Address),
        ("192.0.2.256", Reason::Address),
        ("2001:db8::1::", Reason::Address),
        ("2001:db8:::1", Reason::Address),
        ("12345::", Reason::Address),
        (" ::1", Reason::Address),
        ("::1 ", Reason::Address),
        ("2001:db8::1/64", Reason::Address),
        ("[192.0.2.1]:53", Reason::Address),
        ("[]:53", Reason::Address),
        ("[::1:53", Reason::Brackets),
        ("::1]:53", Reason::Brackets),
        ("[::1]53", Reason::Brackets),
        ("[::1]:", Reason::Port),
        ("[::1]:65536", Reason::Port),
        ("[::1]:+1", Reason::Port),
        ("[::1]:053", Reason::Port),
        ("192.0.2.1:", Reason::Port),
        ("192.0.2.1:-1", Reason::Port),
        ("fe80::1%", Reason::Zone),
        ("fe80::1%0", Reason::Zone),
        ("fe80::1%4294967296", Reason::Zone),
        ("fe80::1%a b", Reason::Zone),
        ("fe80::1%abcdefghijklmnop", Reason::Zone),
        ("fe80::1%a%b", Reason::Zone),
        ("fe80::1%..", Reason::Zone),
        ("2001:db8::1%eth0", Reason::NoZone),
        ("fd00::1%eth0", Reason::NoZone),
        ("::1%lo", Reason::NoZone),
        ("ff0e::1%eth0", Reason::NoZone),
        ("192.0.2.1%eth0", Reason::NoZone),
        ("::ffff:192.0.2.1%eth0", Reason::NoZone),
    ] {
        let error = text.parse::<Endpoint>().unwrap_err();
        assert_eq!(error.reason, reason, "{text}");
        assert!(error.to_string().contains(text));
    }
}

#[test]
fn to_and_from_the_system() {
    let eth0 = |name: &str| (name == "eth0").then_some(3);
    for (text, default, want) in [
        ("2001:db8::1", 53, "[2001:db8::1]:53"),
        ("[2001:db8::1]:54", 53, "[2001:db8::1]:54"),
        ("fe80::1%eth0", 53, "[fe80::1%3]:53"),
        ("fe80::1%9", 53, "[fe80::1%9]:53"),
        ("192.0.2.1", 53, "192.0.2.1:53"),
    ] {
        let socket = text.parse::<Endpoint>().unwrap().to_socket_addr(default, eth0).unwrap();
        assert_eq!(socket.to_string(), want);
        assert_eq!(Endpoint::from(socket).to_string(), want);
    }
    assert_eq!("fe80::1%eth1".parse::<Endpoint>().unwrap().to_socket_addr(53, eth0), None);
    // A scope on a global address, as some system calls give it, is no zone.
    let socket = SocketAddrV6::new("2001:db8::1".parse().unwrap(), 53, 7, 3);
    assert_eq!(Endpoint::from(socket).to_string(), "[2001:db8::1]:53");
}

#[test]
fn serde_uses_the_same_text() {
    use serde::de::value::{Error, StrDeserializer};
    use serde::de::{Deserialize as _, IntoDeserializer as _};
    let from = |text: &'static str| -> Result<Endpoint, Error> {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        Endpoint::deserialize(deserializer)
    };
    assert_eq!(from("[2001:DB8::1]:53").unwrap().to_string(), "[2001:db8::1]:53");
    assert!(from("nowhere").unwrap_err().to_string().contains("`nowhere` is not an address: write"));
}

#[test]
fn it_pads_as_a_whole() {
    assert_eq!(format!("{:<12}|", Endpoint::new(Ipv6Addr::LOCALHOST).with_port(5)), "[::1]:5     |");
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        // Scoped, sparse and mapped ones are rare among random ones.
        any::<u64>().prop_map(|low| IpAddr::from(Ipv6Addr::from_bits((0xfe80 << 112) + u128::from(low)))),
        any::<u16>().prop_map(|bits| IpAddr::from(Ipv6Addr::new(0xff02, 0, 0, bits, 0, 0, 0, 1))),
        any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(
            bits & 0xffff_0000_0000_ffff_0000_0000_ffff_0000
        ))),
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits).to_ipv6_mapped())),
    ];
    let zone = prop_oneof![
        any::<u32>().prop_map(Zone::from_index),
        "[a-z0-9._@-]{1,15}".prop_map(|name| Zone::from_name(&name)),
    ];
    (address, zone, any::<Option<u16>>()).prop_map(|(address, zone, port)| {
        let mut endpoint = Endpoint::new(address);
        if let Some(zone) = zone {
            endpoint = endpoint.with_zone(zone);
        }
        match port {
            Some(port) => endpoint.with_port(port),
            None => endpoint,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(endpoint in any_endpoint()) {
        prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
    }

    #[test]
    fn what_parses_prints_the_same_for_ever(text in "[0-9a-fA-F:.%\\[\\]eth]{0,24}") {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            let printed = endpoint.to_string();
            prop_assert_eq!(printed.parse::<Endpoint>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<Endpoint>();
    }

    #[test]
    fn system_addresses_come_back(endpoint in any_endpoint()) {
        if let Some(socket) = endpoint.to_socket_addr(1, |_| Some(9)) {
            prop_assert_eq!(Endpoint::from(socket).to_socket_addr(2, |_| None), Some(socket));
        }
    }
}
