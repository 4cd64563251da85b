//! What is written comes out as the RFCs have it, and is read back as it was written.

use super::*;
use proptest::prelude::*;
use sixgate_wire::dhcpv6::DEFINITIONS;
use std::collections::BTreeMap;

fn list(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn number(number: i64) -> Value {
    Value::Number(number)
}

fn typed(kind: &str, value: Value) -> Value {
    table(&[("type", Value::from(kind)), ("value", value)])
}

fn octets(key: &str, value: &Value) -> Vec<Vec<u8>> {
    Given::new(key, value).unwrap_or_else(|error| panic!("{key}: {error}")).contents
}

fn hex(text: &str) -> Vec<u8> {
    crate::hex::read(text).unwrap()
}

fn rule() -> Value {
    table(&[
        ("ipv4", Value::from("192.0.2.0/24")),
        ("ipv6", Value::from("2001:db8:ff00::/40")),
        ("ea-length", number(16)),
        ("forwarding", Value::Flag(true)),
        ("psid-offset", number(4)),
        ("psid-length", number(8)),
        ("psid", number(0xab)),
    ])
}

#[test]
fn octets_are_those_of_the_rfcs() {
    let address = "20010db8000000000000000000000007";
    for (key, value, contents) in [
        // RFC 3319, 3898, 4075, 4833, 5908, 5970, 6334, 8910.
        ("sip-servers", list(&["2001:db8::7"]), vec![address.to_owned()]),
        ("22", Value::from("2001:db8::7"), vec![address.to_owned()]),
        ("sip-domains", list(&["a.b", "c"]), vec!["016101620001630 0".replace(' ', "")]),
        ("nis-domain", Value::from("a.b."), vec!["0161016200".into()]),
        ("posix-timezone", Value::from("CET-1"), vec!["4345542d31".into()]),
        (
            "ntp-server",
            list(&["2001:db8::7", "ff05::101", "a.b"]),
            vec![
                format!("00010010{address}"),
                "00020010ff050000000000000000000000000101".into(),
                "000300050161016200".into(),
            ],
        ),
        ("bootfile-parameters", list(&["x", "yz"]), vec!["0001780002797a".into()]),
        ("aftr-name", Value::from("a.b"), vec!["0161016200".into()]),
        ("captive-portal", Value::from("u"), vec!["75".into()]),
        // RFC 8572 section 8.3, RFC 8026 section 1.4.1.
        ("sztp-redirect", list(&["https://a"]), vec!["000968747470733a2f2f61".into()]),
        ("s46-priority", Value::List(vec![number(94), number(96)]), vec!["005e0060".into()]),
        // RFC 9915 section 21.17.
        (
            "vendor-options",
            table(&[
                ("enterprise", number(9)),
                (
                    "options",
                    table(&[("10", typed("u16", number(258))), ("2", typed("text", Value::from("x")))]),
                ),
            ]),
            vec!["00000009000200017 8000a00020102".replace(' ', "")],
        ),
        // RFC 9463 section 4.1: priority, name, addresses, alpn=dot, port 853; and the name alone.
        (
            "encrypted-dns",
            Value::List(vec![
                table(&[
                    ("priority", number(2)),
                    ("name", Value::from("a.b")),
                    ("addresses", list(&["2001:db8::7"])),
                    ("alpn", list(&["dot"])),
                    ("port", number(853)),
                    ("dohpath", Value::from("/q")),
                ]),
                table(&[("name", Value::from("a.b"))]),
            ]),
            vec![
                format!("0002000501610162000010{address}0001000403646f7400030002035500070002 2f71")
                    .replace(' ', ""),
                "000100050161016200".into(),
            ],
        ),
        // RFC 7598 sections 4 and 5.
        (
            "s46-mape",
            table(&[("rules", Value::List(vec![rule()])), ("relays", list(&["2001:db8::7"]))]),
            vec![
                format!("00590015 01 10 18 c0000200 28 20010db8ff 005d0004 0408ab00 005a0010 {address}")
                    .replace(' ', ""),
            ],
        ),
        (
            "s46-mapt",
            table(&[
                (
                    "rules",
                    Value::List(vec![table(&[
                        ("ipv4", Value::from("192.0.2.0/23")),
                        ("ipv6", Value::from("2001:db8::/33")),
                        ("ea-length", number(0)),
                    ])]),
                ),
                ("default-mapping", Value::from("64:ff9b::/32")),
            ]),
            vec!["0059000d 00 00 17 c0000200 21 20010db800 005b0005 20 0064ff9b".replace(' ', "")],
        ),
        (
            "s46-lw4o6",
            table(&[
                ("ipv4", Value::from("192.0.2.1")),
                ("ipv6", Value::from("2001:db8:1::/64")),
                ("psid-length", number(6)),
                ("psid", number(1)),
                ("relays", list(&["2001:db8::7"])),
            ]),
            vec![
                format!("005a0010 {address} 005c0015 c0000201 40 20010db800010000 005d0004 06060400")
                    .replace(' ', ""),
            ],
        ),
        // Nobody knows these.
        ("9999", typed("hex", Value::from("0a:0b")), vec!["0a0b".into()]),
        ("9999", typed("prefix", Value::from("2001:db8::/36")), vec!["2420010db800".into()]),
        ("9999", typed("flag", Value::Flag(true)), vec![String::new()]),
        ("9999", typed("list of u8", Value::List(vec![number(1), number(255)])), vec!["01ff".into()]),
        (
            "9999",
            table(&[
                ("type", list(&["u16", "name", "text"])),
                ("value", Value::List(vec![number(7), Value::from("a"), Value::from("x")])),
            ]),
            vec!["000701610078".into()],
        ),
        // Known, and written as something else.
        ("captive-portal", typed("hex", Value::from("00")), vec!["00".into()]),
    ] {
        let contents: Vec<_> = contents.iter().map(|text| hex(text)).collect();
        assert_eq!(octets(key, &value), contents, "{key} = {value}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (key, value, path, says) in [
        ("ntp-servers", Value::from("x"), "ntp-servers", "there is no option"),
        ("9999", Value::from("x"), "9999", "which form option 9999 has"),
        ("9999", typed("word", Value::from("x")), "9999.type", "is no type"),
        (
            "9999",
            table(&[("type", list(&["text", "u8"])), ("value", list(&["x"]))]),
            "9999.type",
            "must end by itself",
        ),
        ("70000", Value::from("x"), "70000", "there is no option"),
        ("3", Value::from("x"), "3", "belongs to the protocol"),
        ("sip-servers", list(&["2001:db8::1", "192.0.2.1"]), "sip-servers[1]", "not an IPv6 address"),
        ("sip-servers", list(&[]), "sip-servers", "the list is empty"),
        ("aftr-name", Value::from("a..b"), "aftr-name", "not a domain name"),
        ("aftr-name", list(&["a", "b"]), "aftr-name", "this is a list"),
        ("sol-max-rt", number(1 << 32), "sol-max-rt", "does not fit"),
        ("sol-max-rt", number(-1), "sol-max-rt", "does not fit"),
        ("vendor-options", table(&[("options", table(&[]))]), "vendor-options", "`enterprise` is missing"),
        (
            "vendor-options",
            table(&[("enterprise", number(9)), ("options", table(&[("x", number(1))]))]),
            "vendor-options.options",
            "is no code",
        ),
        (
            "encrypted-dns",
            table(&[("name", Value::from("a")), ("port", number(1))]),
            "encrypted-dns",
            "without `addresses`",
        ),
        (
            "s46-mape",
            table(&[("rules", Value::List(vec![])), ("relays", list(&["::1"]))]),
            "s46-mape.rules",
            "no rule",
        ),
        (
            "s46-mape",
            table(&[("rules", Value::List(vec![rule()])), ("relay", list(&["::1"]))]),
            "s46-mape",
            "no key `relay`",
        ),
        ("captive-portal", typed("text", Value::from(&*"x".repeat(2_049))), "captive-portal", "2049 octets"),
    ] {
        let error = Given::new(key, &value).unwrap_err();
        assert_eq!(error.path, path, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.remedy.is_empty());
    }
    let twice = ["22", "sip-servers"].map(|key| Given::new(key, &Value::from("2001:db8::7")).unwrap());
    assert!(OptionSet::new(twice.to_vec()).unwrap_err().to_string().contains("stands twice"));
}

/// Any value that fits a form.
fn fitting(shape: Shape) -> BoxedStrategy<Value> {
    let text = || "[a-z]{1,20}".prop_map(Value::Text);
    let name = || "[a-z]{1,10}(\\.[a-z]{1,10}){0,3}".prop_map(Value::Text);
    let address = || any::<u128>().prop_map(|bits| Value::Text(std::net::Ipv6Addr::from(bits).to_string()));
    let prefix = || {
        (any::<u128>(), 0..=64_u8).prop_map(|(bits, length)| {
            Value::Text(ipnet::Ipv6Net::new(bits.into(), length).unwrap().trunc().to_string())
        })
    };
    let lists = |one: BoxedStrategy<Value>| prop::collection::vec(one, 1..4).prop_map(Value::List).boxed();
    let whole = |width: u8| (0..=i64::from(u32::MAX >> (32 - 8 * u32::from(width)))).prop_map(Value::Number);
    let rule = move || {
        (any::<u32>(), 0..=32_u8, prefix(), 0..=48_i64, any::<bool>()).prop_map(
            |(v4, length, v6, ea, flag)| {
                let v4 = ipnet::Ipv4Net::new(v4.into(), length).unwrap().trunc();
                table(&[
                    ("ipv4", Value::Text(v4.to_string())),
                    ("ipv6", v6),
                    ("ea-length", number(ea)),
                    ("forwarding", Value::Flag(flag)),
                ])
            },
        )
    };
    match shape {
        Shape::Flag => Just(Value::Flag(true)).boxed(),
        Shape::Number(width) => whole(width).boxed(),
        Shape::Numbers(width) => lists(whole(width).boxed()),
        Shape::Address => address().boxed(),
        Shape::Addresses => lists(address().boxed()),
        Shape::Prefix => prefix().boxed(),
        Shape::Name => name().boxed(),
        Shape::Names => lists(name().boxed()),
        Shape::Text => text().boxed(),
        Shape::Texts => lists(text().boxed()),
        Shape::Octets => {
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|o| Value::Text(crate::hex::write(&o))).boxed()
        }
        Shape::Record(shapes) => {
            shapes.iter().map(|shape| fitting(*shape)).collect::<Vec<_>>().prop_map(Value::List).boxed()
        }
        Shape::Suboptions => prop::collection::btree_map(any::<u16>(), fitting(Shape::Octets), 0..4)
            .prop_map(|map| {
                Value::Table(
                    map.into_iter().map(|(code, value)| (code.to_string(), typed("hex", value))).collect(),
                )
            })
            .boxed(),
        Shape::NtpServer => prop_oneof![address(), name()].boxed(),
        Shape::VendorOptions => (whole(4), fitting(Shape::Suboptions))
            .prop_map(|(enterprise, options)| table(&[("enterprise", enterprise), ("options", options)]))
            .boxed(),
        Shape::EncryptedDns => {
            (1..=65_535_i64, name(), prop::option::of((lists(address().boxed()), whole(2))))
                .prop_map(|(priority, name, place)| {
                    let mut entries = vec![("priority", number(priority)), ("name", name)];
                    if let Some((addresses, port)) = place {
                        entries.extend([
                            ("addresses", addresses),
                            ("alpn", list(&["h2", "dot"])),
                            ("port", port),
                        ]);
                    }
                    table(&entries)
                })
                .boxed()
        }
        Shape::MapE => (lists(rule().boxed()), lists(address().boxed()))
            .prop_map(|(rules, relays)| table(&[("rules", rules), ("relays", relays)]))
            .boxed(),
        Shape::MapT => (lists(rule().boxed()), prefix())
            .prop_map(|(rules, default)| table(&[("rules", rules), ("default-mapping", default)]))
            .boxed(),
        Shape::Lw4over6 => (any::<u32>(), prefix(), 0..=10_i64, lists(address().boxed()))
            .prop_map(|(v4, v6, length, relays)| {
                table(&[
                    ("ipv4", Value::Text(ipnet::Ipv4Net::new(v4.into(), 32).unwrap().addr().to_string())),
                    ("ipv6", v6),
                    ("psid-offset", number(6)),
                    ("psid-length", number(length)),
                    ("psid", number((1 << length) - 1)),
                    ("relays", relays),
                ])
            })
            .boxed(),
    }
}

fn written() -> impl Strategy<Value = (usize, Value)> {
    (0..DEFINITIONS.len()).prop_flat_map(|at| (Just(at), fitting(DEFINITIONS[at].shape)))
}

proptest! {
    /// Describing what was written gives what was written, and writing that gives the same octets.
    #[test]
    fn every_option_comes_back((at, value) in written()) {
        let definition = DEFINITIONS[at];
        let given = Given::new(definition.name, &value).unwrap();
        prop_assert_eq!(given.contents.len(), 1);
        let said = describe(definition.code, &given.contents[0]);
        // A single name comes out as a list of one.
        let said = match said {
            Value::List(mut values) if definition.shape == Shape::Name => values.remove(0),
            said => said,
        };
        prop_assert_eq!(&said, &value, "{}", definition.name);
        prop_assert_eq!(Given::new(definition.name, &said).unwrap(), given);
    }

    /// Octets of any kind are described, those that are not of their option's form so that they can be written again.
    #[test]
    fn anything_is_described(
        at in 0..DEFINITIONS.len() + 1,
        data in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let code = DEFINITIONS.get(at).map_or(OptionCode(9_999), |definition| definition.code);
        let said = describe(code, &data);
        prop_assert!(!said.to_string().is_empty());
        if matches!(&said, Value::Table(table) if table.contains_key("type")) {
            let given = Given::new(&code.0.to_string(), &said).unwrap();
            prop_assert_eq!(given.contents, [data]);
        }
    }
}

#[test]
fn the_first_set_has_its_way_and_only_what_is_asked_for_is_sent() {
    let given = |key: &str, value: &str, always: bool| {
        let wrapped = BTreeMap::from([
            ("value".to_owned(), Value::from(value)),
            ("always".to_owned(), Value::Flag(always)),
        ]);
        Given::new(key, &Value::Table(wrapped)).unwrap()
    };
    let first = OptionSet::new(vec![given("captive-portal", "near", false)]).unwrap();
    let second = OptionSet::new(vec![
        given("captive-portal", "far", true),
        given("tzdb-timezone", "Europe/Zurich", false),
        given("bootfile-url", "http://b", true),
    ])
    .unwrap();
    let sent = |asked: &[OptionCode]| {
        let mut room = [0; 200];
        let mut b = Builder::message(&mut room, sixgate_wire::dhcpv6::MessageType::REPLY, <_>::default());
        let mut request = [0; 100];
        let mut oro =
            Builder::message(&mut request, sixgate_wire::dhcpv6::MessageType::REQUEST, <_>::default());
        oro.oro(asked);
        write(
            &mut b,
            Options::parse(&oro.finish().unwrap()[4..]).unwrap(),
            &[&first, &second].into_iter(),
            |_| true,
        );
        let bytes = b.finish().unwrap();
        let all = Options::parse(&bytes[4..]).unwrap();
        all.raw()
            .map(|(code, data)| format!("{} {}", name_of(code), String::from_utf8_lossy(data)))
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(&[OptionCode::CAPTIVE_PORTAL]), ["captive-portal near", "bootfile-url http://b"]);
    // Who is not asked for does not open the way for the one that it stands before.
    assert_eq!(
        sent(&[OptionCode::NEW_TZDB_TIMEZONE]),
        ["tzdb-timezone Europe/Zurich", "bootfile-url http://b"]
    );
}
