//! Conditions, rules, parts of pools, and the order of options.

use super::*;
use crate::options::Given;
use crate::value::Value;
use sixgate_wire::dhcpv6::{Builder, Duid, MessageType, OptionCode};

fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

fn policy(classes: &[(&str, Value)]) -> Policy {
    let mut policy = Policy::new(OptionSet::default(), Reservations::default());
    for (name, value) in classes {
        policy.add_class(name, value, OptionSet::default()).unwrap();
    }
    policy
}

/// A Solicit of a camera behind a relay agent.
fn message() -> Vec<u8> {
    let mut room = [0; 300];
    let mut b = Builder::message(&mut room, MessageType::SOLICIT, <_>::default());
    b.option(OptionCode::VENDOR_CLASS, b"\0\0\x01\x37\0\x08MSFT 5.0");
    b.option(OptionCode::VENDOR_CLASS, b"\0\0\0\x09\0\x03cam\0\x05cam-2");
    b.option(OptionCode::USER_CLASS, b"\0\x04lab1\0\x05guest");
    b.finish().unwrap().to_vec()
}

fn with_asking<T>(f: impl FnOnce(&Asking<'_>) -> T) -> T {
    let message = message();
    let duid = Duid::enterprise(9, b"abc").unwrap();
    f(&Asking {
        link: "lan0",
        duid: Some(duid.as_bytes()),
        mac: Mac::new(&[0, 0, 0x5e, 0, 0x53, 1]),
        interface_id: Some(b"eth0/7"),
        remote_id: Some(b"\0\0\0\x09line-42"),
        subscriber_id: Some(&[0, 0xff]),
        agent: Some("2001:db8:7::1".parse().unwrap()),
        hops: &[],
        options: Options::parse(&message[4..]).unwrap(),
    })
}

#[test]
fn each_property_is_tested() {
    for (key, value, holds) in [
        ("mac", texts(&["00:00:5e:00:53:01"]), true),
        ("mac", texts(&["00:00:5e:00:53:02", "00005e/24"]), true),
        ("mac", Value::from("00:00:58/21"), true),
        ("mac", Value::from("00:00:50/21"), false),
        ("mac", Value::from("00:00:00:00:53:00/00:00:00:00:ff:00"), true),
        ("mac", Value::from("00:00:00:00:54:00/00:00:00:00:ff:00"), false),
        ("duid", Value::from("00:02:00:00:00:09:61:62:63"), true),
        ("duid", Value::from("0002000000096162"), false),
        ("duid", Value::from("00:02:*"), true),
        ("duid-type", texts(&["ll", "en"]), true),
        ("duid-type", Value::Number(3), false),
        ("duid-enterprise", Value::Number(9), true),
        ("duid-enterprise", Value::Number(10), false),
        ("vendor-enterprise", Value::List(vec![Value::Number(1), Value::Number(311)]), true),
        ("vendor-class", Value::from("MSFT*"), true),
        ("vendor-class", Value::from("cam-*"), true),
        ("vendor-class", Value::from("ca"), false),
        ("user-class", Value::from("guest"), true),
        ("user-class", Value::from("*ues*"), true),
        ("user-class", Value::from("g*u*t*x"), false),
        ("interface-id", Value::from("eth0/*"), true),
        ("interface-id", Value::from("*/8"), false),
        ("remote-id", Value::from("line-42"), true),
        ("remote-enterprise", Value::Number(9), true),
        ("subscriber-id", Value::from("0x00ff"), true),
        ("subscriber-id", Value::from("0x00*"), true),
        ("subscriber-id", Value::from("0xff"), false),
        ("relay", Value::from("2001:db8:7::/48"), true),
        ("relay", Value::from("2001:db8:7::2"), false),
        ("link", texts(&["lan1", "lan0"]), true),
        ("reserved", Value::Flag(true), false),
        ("reserved", Value::Flag(false), true),
    ] {
        let policy = policy(&[("c", table(&[(key, value.clone())]))]);
        let member = with_asking(|asking| policy.classes_of(asking, false) != ClassSet::default());
        assert_eq!(member, holds, "{key} = {value}");
        // Of nobody nothing is known, and nothing holds but what is asked of the link.
        let nobody = Asking {
            link: "lan9",
            duid: None,
            mac: None,
            interface_id: None,
            remote_id: None,
            subscriber_id: None,
            agent: None,
            hops: &[],
            options: Options::parse(&[]).unwrap(),
        };
        let empty = policy.classes_of(&nobody, false) == ClassSet::default();
        assert_eq!(empty, value != Value::Flag(false), "{key}");
    }
}

#[test]
fn conditions_combine() {
    let mac = || table(&[("mac", Value::from("00:00:5e/24"))]);
    let other = || table(&[("mac", Value::from("00:00:5f/24"))]);
    let classes = [
        ("all", table(&[("all", Value::List(vec![mac(), other()]))]), false),
        ("any", table(&[("any", Value::List(vec![mac(), other()]))]), true),
        ("not", table(&[("not", other())]), true),
        ("both", table(&[("mac", Value::from("00:00:5e/24")), ("link", Value::from("lan1"))]), false),
        // Number and text in one option: 311 says MSFT, 9 says cam.
        (
            "one",
            table(&[("vendor-enterprise", Value::Number(9)), ("vendor-class", Value::from("cam"))]),
            true,
        ),
        (
            "two",
            table(&[("vendor-enterprise", Value::Number(9)), ("vendor-class", Value::from("MSFT*"))]),
            false,
        ),
        ("class", table(&[("class", texts(&["all", "any"]))]), true),
        ("rest", table(&[("not", table(&[("class", texts(&["any"]))]))]), false),
    ];
    let policy = policy(&classes.clone().map(|(name, value, _)| (name, value)));
    with_asking(|asking| {
        let set = policy.classes_of(asking, false);
        for (name, _, member) in &classes {
            assert_eq!(set.contains(policy.class_named(name).unwrap()), *member, "{name}");
        }
    });
}

#[test]
fn mistakes_are_told_with_their_place() {
    let deep = (0..10).fold(table(&[("link", Value::from("x"))]), |inner, _| table(&[("not", inner)]));
    for (value, path, says) in [
        (table(&[("mca", Value::from("x"))]), "c.match.mca", "nothing of a client is called"),
        (table(&[("mac", Value::from("00:00:5e/25"))]), "c.match.mac", "no hardware address"),
        (table(&[("mac", Value::from("00:00:5e/0"))]), "c.match.mac", "no hardware address"),
        (table(&[("mac", Value::from("00:00/ff:ff:ff"))]), "c.match.mac", "no hardware address"),
        (table(&[("duid", Value::from("laptop"))]), "c.match.duid", "hexadecimal"),
        (table(&[("duid-type", Value::from("lll"))]), "c.match.duid-type", "no type of DUID"),
        (table(&[("user-class", Value::from("*a*a*a*a*a*"))]), "c.match.user-class", "no pattern"),
        (table(&[("user-class", Value::from(""))]), "c.match.user-class", "no pattern"),
        (table(&[("class", Value::from("d"))]), "c.match.class", "there is no class `d`"),
        (table(&[("class", Value::from("c"))]), "c.match.class", "there is no class `c`"),
        (table(&[("relay", Value::from("fe80"))]), "c.match.relay", "no IPv6 address"),
        (table(&[]), "c.match", "the condition is empty"),
        (table(&[("any", Value::List(vec![]))]), "c.match.any", "the list is empty"),
        (deep, "c.match.not.not.not.not.not.not.not.not", "too deep"),
        (table(&[("user-class", Value::List(vec![Value::from("a*"); 1_025]))]), "c.match", "too big"),
    ] {
        let error = Policy::default().add_class("c", &value, OptionSet::default()).unwrap_err();
        assert_eq!(error.path, path, "{error}");
        assert!(error.to_string().contains(says) && !error.remedy.is_empty(), "{error}");
    }
    let any = table(&[("link", Value::from("x"))]);
    let mut full = Policy::default();
    for n in 0..MOST_CLASSES {
        full.add_class(&n.to_string(), &any, OptionSet::default()).unwrap();
    }
    assert!(full.add_class("x", &any, OptionSet::default()).unwrap_err().message.contains("more than"));
    assert!(Policy::default().add_rules(None, &["x".into()], &[]).is_err());
}

#[test]
fn rules_are_asked_in_their_order() {
    let classes = [
        ("cams", table(&[("vendor-class", Value::from("cam"))])),
        ("mine", table(&[("link", Value::from("lan0"))])),
    ];
    let rules = |deny: &[&str], allow: &[&str], link: Option<&str>| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        {
            let mut policy = policy(&classes);
            policy.add_rules(link.map(Into::into), &names(deny), &names(allow)).unwrap();
            policy
        }
    };
    for (policy, denied, name) in [
        (rules(&[], &[], None), None, ""),
        (rules(&["cams"], &[], None), Some(0), "deny cams"),
        (rules(&["cams"], &[], Some("lan1")), None, "lan1: deny cams"),
        (rules(&["cams"], &["mine"], Some("lan0")), Some(0), "lan0: deny cams"),
        (rules(&[], &["mine"], Some("lan0")), None, "lan0: allow mine alone"),
    ] {
        with_asking(|asking| {
            let classes = policy.classes_of(asking, false);
            assert_eq!(policy.denied_by("lan0", classes), denied, "{name}");
            assert!(policy.rules().first().is_none_or(|rule| policy.rule_name(rule) == name));
            let allows = policy.rules().iter().any(|rule| matches!(rule.test, RuleTest::Allow(_)));
            assert_eq!(policy.denied_by("lan0", ClassSet::default()).is_some(), allows, "{name}");
        });
    }
}

#[test]
fn parts_keep_members_in_and_others_out() {
    let net = |text: &str| text.parse::<Ipv6Net>().unwrap();
    let mut policy = policy(&[("c", table(&[("link", Value::from("lan0"))]))]);
    for (part, class) in [("2001:db8::1000/116", Some("c")), ("2001:db8::2000/116", None)] {
        policy.add_part("lan0".into(), net(part), class, None, OptionSet::default()).unwrap();
    }
    let mut members = ClassSet::default();
    members.insert(ClassId(0));
    let may = |resource: &str, classes| {
        policy.may_have("lan0", net("2001:db8::/64"), resource.parse().unwrap(), classes)
    };
    for (resource, member, other) in [
        ("2001:db8::1001", true, false),
        ("2001:db8::2001", false, true),
        ("2001:db8::3001", false, true),
        // A prefix around the part is not for others either.
        ("2001:db8::/64", false, false),
    ] {
        assert_eq!(
            (may(resource, members), may(resource, ClassSet::default())),
            (member, other),
            "{resource}"
        );
    }
    // Another link has no such part.
    assert!(policy.may_have(
        "lan1",
        net("2001:db8::/64"),
        "2001:db8::1001".parse().unwrap(),
        ClassSet::default()
    ));
}

#[test]
fn what_is_nearer_has_its_way() {
    let set =
        |text: &str| OptionSet::new(vec![Given::new("bootfile-url", &Value::from(text)).unwrap()]).unwrap();
    let here = table(&[("link", Value::from("lan0"))]);
    let mut policy = Policy::new(set("server"), Reservations::default());
    policy.add_class("a", &here, set("class a")).unwrap();
    policy.add_class("b", &here, set("class b")).unwrap();
    policy.add_link("lan0".into(), set("link"), None);
    policy.add_part("lan0".into(), "2001:db8::/64".parse().unwrap(), None, None, set("pool")).unwrap();
    let reserved = set("reservation");
    let texts = |link, reserved: Option<&OptionSet>, classes, resources: &[Resource]| -> Vec<String> {
        let holds = |net: Ipv6Net| resources.iter().any(|resource| net.contains(&resource.net()));
        let sets = policy.options_for(link, reserved.into_iter(), classes, holds);
        let text = |set: &OptionSet| {
            let given = set.get(OptionCode::BOOTFILE_URL).unwrap();
            String::from_utf8(given.contents().next().unwrap().to_vec()).unwrap()
        };
        sets.map(text).collect()
    };
    with_asking(|asking| {
        let classes = policy.classes_of(asking, false);
        let resources = ["2001:db8::7".parse().unwrap()];
        assert_eq!(
            texts("lan0", Some(&reserved), classes, &resources),
            ["reservation", "class a", "class b", "pool", "link", "server"]
        );
        assert_eq!(texts("lan1", None, ClassSet::default(), &resources), ["server"]);
    });
}

#[test]
fn a_client_is_not_looked_for_on_every_link() {
    let with_links = |count: u32| {
        let mut policy = policy(&[("cam", table(&[("vendor-class", texts(&["cam"]))]))]);
        let given = Given::new("tzdb-timezone", &Value::from("Europe/Zurich")).unwrap();
        for number in 0..count {
            let link = LinkId::from(format!("subnet{number}"));
            let net = format!("2001:db8:{number:x}::/64").parse().unwrap();
            policy.add_link(link.clone(), OptionSet::new(vec![given.clone()]).unwrap(), None);
            policy.add_rules(Some(link.clone()), &["cam".to_owned()], &[]).unwrap();
            policy.add_part(link, net, None, None, OptionSet::default()).unwrap();
        }
        policy
    };
    let (few, many) = (with_links(10), with_links(10_000));
    let ask = |policy: &Policy| {
        let began = std::time::Instant::now();
        for _ in 0..50 {
            let link = "subnet9";
            let net = "2001:db8:9::/64".parse().unwrap();
            assert_eq!(policy.denied_by(link, ClassSet::default()), None);
            assert!(policy.may_have(link, net, "2001:db8:9::7".parse().unwrap(), ClassSet::default()));
            assert_eq!(policy.exclude(link), None);
            assert_eq!(
                policy.options_for(link, std::iter::empty(), ClassSet::default(), |_| true).count(),
                1
            );
        }
        began.elapsed()
    };
    // The least of several times: a busy machine does not change it. A thousand times the links took hundreds of times as long.
    let least = |policy: &Policy| (0..20).map(|_| ask(policy)).min().unwrap();
    let (few, many) = (least(&few), least(&many));
    assert!(many < few * 20, "{few:?} with ten links, {many:?} with ten thousand");
}
