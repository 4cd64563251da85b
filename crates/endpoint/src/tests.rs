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
        ("::192.0.2.1", "[::c000:201]"),
        ("[::1:53]", "[::1:53]"),
        ("0:0:0:0:0:0:1:53", "[::1:53]"),
        ("::1:ab", "::1:ab"),
        ("::53", "::53"),
        ("2001:db8::1:53", "2001:db8::1:53"),
        ("::1#53", "[::1]:53"),
        ("fe80::1%eth0#53", "[fe80::1%eth0]:53"),
        ("192.0.2.1#53", "192.0.2.1:53"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
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
fn what_is_none_is_refused_with_its_place_and_reason() {
    for (text, column, reason) in [
        ("", 1, Reason::Address),
        ("x", 1, Reason::Address),
        ("localhost:53", 1, Reason::Address),
        ("10.0.0.0/8", 9, Reason::Prefix),
        ("1.2.3", 6, Reason::Octet),
        ("1.2.3.4.5", 8, Reason::Octet),
        ("192.0.2.01", 9, Reason::Octet),
        ("192.0.2.256", 9, Reason::Octet),
        ("192.0.2.1 ", 10, Reason::Stray),
        ("0x7f.1", 2, Reason::Octet),
        ("2001:db8::1::", 12, Reason::TwoGaps),
        ("2001:db8:::1", 11, Reason::Groups),
        ("12345::", 1, Reason::Group),
        ("2001:db8::g", 11, Reason::Group),
        ("2001:db8::ag", 12, Reason::Group),
        ("1:2:3:4:5:6:7", 14, Reason::Groups),
        ("1:2:3:4:5:6:7:8:9", 16, Reason::Groups),
        ("1:2:3:4::5:6:7:8", 17, Reason::Groups),
        ("1:2:3:4:5:6:7:", 15, Reason::Groups),
        (":1:2:3:4:5:6:7", 1, Reason::Groups),
        ("1::2:", 6, Reason::Groups),
        ("::1.2.3", 8, Reason::Octet),
        ("1:2:3:4:5:6:7:1.2.3.4", 16, Reason::Stray),
        (" ::1", 1, Reason::Group),
        ("::1 ", 4, Reason::Stray),
        ("2001:db8::1/64", 12, Reason::Prefix),
        ("::1:53", 4, Reason::Ambiguous),
        ("::c000:201", 7, Reason::Ambiguous),
        ("[192.0.2.1]:53", 2, Reason::BracketsInVain),
        ("[]:53", 2, Reason::BracketsInVain),
        ("[host]:53", 2, Reason::BracketsInVain),
        ("[::1:53", 8, Reason::Brackets),
        ("::1]:53", 4, Reason::Brackets),
        ("::[1]:53", 3, Reason::Brackets),
        ("[::1]53", 6, Reason::Brackets),
        ("[::1]:", 7, Reason::Port),
        ("[::1]:65536", 7, Reason::Port),
        ("[::1]:+1", 7, Reason::Port),
        ("[::1]:053", 7, Reason::Port),
        ("[::1]:53 ", 7, Reason::Port),
        ("::1#", 5, Reason::Port),
        ("192.0.2.1:", 11, Reason::Port),
        ("192.0.2.1:-1", 11, Reason::Port),
        ("192.0.2.1:1:1", 11, Reason::Port),
        ("192.0.2.1#70000", 11, Reason::Port),
        ("fe80::1%", 9, Reason::Zone),
        ("fe80::1%0", 9, Reason::Zone),
        ("fe80::1%4294967296", 9, Reason::Zone),
        ("fe80::1%a b", 9, Reason::Zone),
        ("fe80::1%abcdefghijklmnop", 9, Reason::Zone),
        ("fe80::1%a%b", 9, Reason::Zone),
        ("fe80::1%..", 9, Reason::Zone),
        ("[fe80::1%a/b]:53", 10, Reason::Zone),
        ("fe80::1%é", 9, Reason::Zone),
        ("2001:db8::1%eth0", 12, Reason::NoZone),
        ("fd00::1%eth0", 8, Reason::NoZone),
        ("::1%lo", 4, Reason::NoZone),
        ("ff0e::1%eth0", 8, Reason::NoZone),
        ("192.0.2.1%eth0", 10, Reason::NoZone),
        ("::ffff:192.0.2.1%eth0", 17, Reason::NoZone),
        ("é::1", 1, Reason::Group),
        ("[é::1", 6, Reason::Brackets),
    ] {
        let error = text.parse::<Endpoint>().expect_err(text);
        assert_eq!((error.column, error.reason), (column, reason), "{text}: {error}");
        assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
    }
}

#[test]
fn errors_say_what_to_write() {
    for (error, want) in [
        (
            "::1:53".parse::<Endpoint>().unwrap_err(),
            "`::1:53` can be read in two ways (column 4): write [::1]:53 if 53 is the port, [::1:53] if it is not",
        ),
        (
            Endpoint::parse_with_port("2001:db8::1:53").unwrap_err(),
            "`2001:db8::1:53` has no port (column 15): write [2001:db8::1]:53 if 53 is the port",
        ),
        (
            Endpoint::parse_with_port("2001:db8::a").unwrap_err(),
            "`2001:db8::a` has no port (column 12): write [2001:db8::a]:53 for port 53",
        ),
        (
            Host::parse_with_port("www.example.com").unwrap_err(),
            "`www.example.com` has no port (column 16): write www.example.com:53 for port 53",
        ),
        (
            "bücher.example".parse::<Host>().unwrap_err(),
            "`bücher.example` is neither an address nor a name (column 2): write the name as DNS has it, in its ASCII form (xn--...)",
        ),
    ] {
        assert_eq!(error.to_string(), want);
    }
    let long = "a".repeat(100_000).parse::<Endpoint>().unwrap_err();
    assert!(long.to_string().len() < 250, "{long}");
}

/// What is missing is brackets: it says so, with all that was written.
#[test]
fn a_port_behind_bare_ipv6_is_told_to_need_brackets() {
    for (text, column, write) in [
        ("::1:10053", 4, "[::1]:10053"),
        ("2001:db8::1:65000", 12, "[2001:db8::1]:65000"),
        ("fe80::1%eth0:53", 13, "[fe80::1%eth0]:53"),
        ("::ffff:192.0.2.1:53", 17, "[::ffff:192.0.2.1]:53"),
        ("1:2:3:4:5:6:7:8:53", 16, "[1:2:3:4:5:6:7:8]:53"),
        (":::53", 3, "[::]:53"),
    ] {
        let error = text.parse::<Endpoint>().unwrap_err();
        let port = write.rsplit(':').next().unwrap();
        assert_eq!(error.column, column, "{error}");
        assert!(error.to_string().ends_with(&format!(" write {write} if {port} is the port")), "{error}");
        assert!(write.parse::<Endpoint>().is_ok(), "{write}");
        assert_eq!(text.parse::<Host>(), Err(error));
    }
    // A person reads all zeros and a port, whatever the address is printed as.
    for (text, write) in [("::0:53", "[::0]:53"), ("::0:0:8080", "[::0:0]:8080"), ("0::0:53", "[0::0]:53")] {
        let error = text.parse::<Endpoint>().unwrap_err();
        assert_eq!(error.reason, Reason::Ambiguous);
        assert!(error.to_string().contains(&format!("write {write} if")), "{error}");
    }
    for text in ["::53", "::", "0:0:0:0:0:0:0:53", "[::0:53]", "::0.0.0.53"] {
        assert!(text.parse::<Endpoint>().is_ok(), "{text}");
    }
}

/// The system's resolver would make addresses of them, and an access list for names would not know it.
#[test]
fn hexadecimal_numbers_are_no_names() {
    for text in ["0x7f000001", "0X7F.0.0.1", "127.0.0.0x1", "0x7f.1:80", "www.example.0xa", "0x"] {
        assert!(text.parse::<Host>().is_err(), "{text}");
    }
    for text in ["0xy", "0x7f.example", "x0x1", "0x7f000001.example.com", "0-1a"] {
        assert_eq!(text.parse::<Host>().unwrap().name(), Some(text));
    }
}

/// What was given may go into a log: it makes no line of its own there, and nothing for a terminal.
#[test]
fn errors_are_one_line() {
    for text in ["::1\n2026-11-25 all is well", "\u{1b}[2J", "host\r\nname"] {
        let error = text.parse::<Host>().unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
        assert_eq!(error.text, text);
    }
}

#[test]
fn hosts() {
    for (given, printed, authority) in [
        ("www.Example.com", "www.example.com", "www.example.com"),
        ("www.example.com.:80", "www.example.com.:80", "www.example.com:80"),
        ("localhost#53", "localhost:53", "localhost:53"),
        ("_dns.xn--bcher-kva.example", "_dns.xn--bcher-kva.example", "_dns.xn--bcher-kva.example"),
        ("4.example", "4.example", "4.example"),
        ("dead.beef", "dead.beef", "dead.beef"),
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1]"),
        ("[fe80::1%eth0]:8080", "[fe80::1%eth0]:8080", "[fe80::1]:8080"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:80"),
    ] {
        let host: Host = given.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(host.to_string(), printed);
        assert_eq!(host.authority(), authority);
        assert_eq!(printed.parse::<Host>().unwrap(), host);
        assert!(host.name().is_none_or(|name| authority.starts_with(name) && !name.ends_with('.')));
    }
    let long = format!("{}.example", "a".repeat(64));
    for (text, column, reason) in [
        ("", 1, Reason::Name),
        (".", 1, Reason::Name),
        ("www..example.com", 5, Reason::Name),
        ("-www.example.com", 1, Reason::Name),
        ("www example.com", 4, Reason::Name),
        ("http://www.example.com", 6, Reason::Port),
        ("www.example.com/index", 16, Reason::Name),
        ("www.example.com:", 17, Reason::Port),
        ("www.example.com:http", 17, Reason::Port),
        (&long, 1, Reason::Name),
        ("300.1.1.1", 1, Reason::Octet),
        ("1.2.3:53", 6, Reason::Octet),
        ("53", 1, Reason::Address),
        ("www.example.1", 1, Reason::Octet),
        ("::1:53", 4, Reason::Ambiguous),
        ("[www.example.com]:53", 2, Reason::BracketsInVain),
        ("192.0.2.0/24", 10, Reason::Prefix),
    ] {
        let error = text.parse::<Host>().expect_err(text);
        assert_eq!((error.column, error.reason), (column, reason), "{text}: {error}");
    }
}

#[test]
fn what_it_takes() {
    assert_eq!(size_of::<Endpoint>(), 34);
    let text = |text: &str| text.parse::<Endpoint>().unwrap();
    let mut sorted: Vec<Endpoint> = [
        "2001:db8::1",
        "[::]:1",
        "fe80::1%eth0",
        "10.0.0.1",
        "fe80::1%10",
        "fe80::1%9",
        "9.255.255.255:80",
        "9.255.255.255",
        "fe80::1",
        "::",
    ]
    .map(text)
    .to_vec();
    sorted.sort_unstable();
    let sorted: Vec<String> = sorted.iter().map(Endpoint::to_string).collect();
    assert_eq!(
        sorted,
        [
            "9.255.255.255",
            "9.255.255.255:80",
            "10.0.0.1",
            "::",
            "[::]:1",
            "2001:db8::1",
            "fe80::1",
            "fe80::1%9",
            "fe80::1%10",
            "fe80::1%eth0",
        ]
    );
    // A mapped address is the IPv4 address wherever two are compared.
    let set: std::collections::HashSet<Endpoint> = ["192.0.2.1", "::ffff:c000:201"].map(text).into();
    assert_eq!(set.len(), 1);
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

#[cfg(feature = "serde")]
#[test]
fn serde_uses_the_same_text() {
    use serde::de::value::{Error, StrDeserializer};
    use serde::de::{Deserialize as _, IntoDeserializer as _};
    let from = |text: &'static str| -> Result<Endpoint, Error> {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        Endpoint::deserialize(deserializer)
    };
    assert_eq!(from("[2001:DB8::1]:53").unwrap().to_string(), "[2001:db8::1]:53");
    assert!(
        from("nowhere").unwrap_err().to_string().contains("`nowhere` is not an address (column 1): write")
    );
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
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits.into()))),
    ];
    let zone = prop_oneof![
        any::<u32>().prop_map(Zone::from_index),
        "[a-zA-Z0-9._@~+-]{1,15}".prop_map(|name| Zone::from_name(&name)),
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
