use super::*;

use ResponseCode::{NXDomain, NoError};

/// Name, type, code, answers, zone of the SOA.
type Row<'a> = (String, RecordType, ResponseCode, &'a [&'a str], Option<&'a str>);

fn names() -> Names {
    let mut names = Names::new(&["2001:db8:5::/64".parse().unwrap(), "2001:db8:6:4::/62".parse().unwrap()]);
    names.set_gateway(&["2001:db8:5::1".parse().unwrap()]);
    names.set(b"p", "Printer", &["2001:db8:5::9".parse().unwrap(), "fd00::9".parse().unwrap()]).unwrap();
    names.set(b"q", "tv", &["2001:db8:6:7::9".parse().unwrap()]).unwrap();
    names
}

fn ask(names: &Names, name: &str, kind: RecordType) -> Option<(ResponseCode, Vec<String>, Option<String>)> {
    let local = names.answer(&Name::from_ascii(name).unwrap(), kind, false)?;
    let answers = local.answers.iter().map(|record| record.data.to_string()).collect();
    Some((local.code, answers, local.authority.map(|soa| soa.name.to_ascii())))
}

fn reverse(address: &str) -> String {
    Name::from(address.parse::<Ipv6Addr>().unwrap()).to_ascii()
}

#[test]
fn local_names_are_answered() {
    use RecordType::{A, AAAA, ANY, HTTPS, NS, PTR, SOA};
    let names = names();
    let home = Some("home.arpa.".to_owned());
    let table: Vec<Row<'_>> = vec![
        ("printer.home.arpa.".into(), AAAA, NoError, &["2001:db8:5::9", "fd00::9"], None),
        ("PRINTER.Home.ARPA.".into(), AAAA, NoError, &["2001:db8:5::9", "fd00::9"], None),
        ("gateway.home.arpa.".into(), AAAA, NoError, &["2001:db8:5::1"], None),
        ("printer.home.arpa.".into(), A, NoError, &[], home.as_deref()),
        ("printer.home.arpa.".into(), HTTPS, NoError, &[], home.as_deref()),
        ("nobody.home.arpa.".into(), AAAA, NXDomain, &[], home.as_deref()),
        ("x.printer.home.arpa.".into(), AAAA, NXDomain, &[], home.as_deref()),
        ("home.arpa.".into(), NS, NoError, &["gateway.home.arpa."], None),
        ("home.arpa.".into(), ANY, NoError, &[], home.as_deref()),
        (reverse("2001:db8:5::9"), PTR, NoError, &["printer.home.arpa."], None),
        (reverse("2001:db8:5::1"), PTR, NoError, &["gateway.home.arpa."], None),
        (reverse("2001:db8:5::9"), AAAA, NoError, &[], Some("0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.")),
        (reverse("2001:db8:5::a"), PTR, NXDomain, &[], Some("0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.")),
        (reverse("2001:db8:6:7::9"), PTR, NoError, &["tv.home.arpa."], None),
        ("0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.".into(), NS, NoError, &["gateway.home.arpa."], None),
        // Empty non-terminals: the way down to a name, and not.
        (
            "0.0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.".into(),
            PTR,
            NoError,
            &[],
            Some("0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
        ),
        (
            "1.0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.".into(),
            PTR,
            NXDomain,
            &[],
            Some("0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
        ),
        ("localhost.".into(), AAAA, NoError, &["::1"], None),
        ("a.localhost.".into(), A, NoError, &["127.0.0.1"], None),
        ("localhost.".into(), HTTPS, NoError, &[], Some("localhost.")),
        (reverse("::1"), PTR, NoError, &["localhost."], None),
        ("1.0.0.127.in-addr.arpa.".into(), PTR, NoError, &["localhost."], None),
        ("x.invalid.".into(), A, NXDomain, &[], Some("invalid.")),
        ("x.test.".into(), A, NXDomain, &[], Some("test.")),
        ("printer.local.".into(), AAAA, NXDomain, &[], Some("local.")),
        ("x.onion.".into(), AAAA, NXDomain, &[], Some("onion.")),
        ("x.alt.".into(), AAAA, NXDomain, &[], Some("alt.")),
        ("_dns.resolver.arpa.".into(), HTTPS, NoError, &[], Some("resolver.arpa.")),
        (reverse("fd12::1"), PTR, NXDomain, &[], Some("d.f.ip6.arpa.")),
        (
            "d.f.ip6.arpa.".into(),
            SOA,
            NoError,
            &["d.f.ip6.arpa. nobody.invalid. 1 3600 1200 604800 10800"],
            None,
        ),
        (reverse("feab::1"), PTR, NXDomain, &[], Some("a.e.f.ip6.arpa.")),
        (reverse("2001:db8:7::1"), PTR, NXDomain, &[], Some("8.b.d.0.1.0.0.2.ip6.arpa.")),
        ("1.1.168.192.in-addr.arpa.".into(), PTR, NXDomain, &[], Some("168.192.in-addr.arpa.")),
        ("1.1.100.100.in-addr.arpa.".into(), PTR, NXDomain, &[], Some("100.100.in-addr.arpa.")),
    ];
    for (name, kind, code, answers, zone) in table {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let expected = Some((code, answers, zone.map(str::to_owned)));
        assert_eq!(ask(&names, &name, kind), expected, "{name} {kind}");
    }
}

#[test]
fn all_else_goes_to_an_upstream() {
    let names = names();
    for name in [
        "example.com.",
        ".",
        "arpa.",
        "ip6.arpa.",
        "ipv4only.arpa.",
        "myhome.arpa.",
        "f.ip6.arpa.",
        "8.in-addr.arpa.",
        "1.1.32.172.in-addr.arpa.",
        "local.example.",
        &reverse("2a00:1450::1"),
    ] {
        assert_eq!(ask(&names, name, RecordType::PTR), None, "{name}");
    }
}

#[test]
fn the_denial_of_ds_of_home_arpa_comes_from_its_parent() {
    let names = names();
    let home = Name::from_ascii("home.arpa.").unwrap();
    assert_eq!(names.answer(&home, RecordType::DS, true), None);
    assert!(names.answer(&home, RecordType::DS, false).is_some());
    let below = Name::from_ascii("printer.home.arpa.").unwrap();
    assert!(names.answer(&below, RecordType::DS, true).is_some());
}

#[test]
fn an_upstream_may_serve_a_private_zone_but_not_ours() {
    let mut names = names();
    for zone in ["8.b.d.0.1.0.0.2.ip6.arpa", "arpa."] {
        names.forward_zone(zone).unwrap();
    }
    assert_eq!(ask(&names, &reverse("2001:db8:7::1"), RecordType::PTR), None);
    assert!(ask(&names, &reverse("2001:db8:5::1"), RecordType::PTR).is_some());
    assert!(ask(&names, "tv.home.arpa.", RecordType::AAAA).is_some());
    assert!(names.forward_zone(&"x".repeat(64)).is_err());
}

#[test]
fn a_name_goes_with_its_holder() {
    let mut names = names();
    names.remove(b"p");
    assert_eq!(ask(&names, "printer.home.arpa.", RecordType::AAAA).unwrap().0, NXDomain);
    assert_eq!(ask(&names, &reverse("2001:db8:5::9"), RecordType::PTR).unwrap().0, NXDomain);
    names.set_prefixes(&[]);
    assert_eq!(
        ask(&names, &reverse("2001:db8:5::1"), RecordType::PTR).unwrap().2.as_deref(),
        Some("8.b.d.0.1.0.0.2.ip6.arpa.")
    );
}

#[test]
fn names_written_down_come_first_and_take_nothing_else() {
    let mut names = Names::new(&[]);
    let address: IpAddr = "2001:db8::80".parse().unwrap();
    names.set_hosts([("WWW.Far.example", &[address][..])]).unwrap();
    let www = Name::from_ascii("www.far.example.").unwrap();
    let answer = names.answer(&www, RecordType::AAAA, false).unwrap();
    assert_eq!(answer.answers.len(), 1);
    assert_eq!(answer.answers[0].data, RData::from(address));
    let none = names.answer(&www, RecordType::A, false).unwrap();
    assert!(none.answers.is_empty() && none.authority.is_some() && none.code == ResponseCode::NoError);
    assert!(names.answer(&Name::from_ascii("far.example.").unwrap(), RecordType::AAAA, false).is_none());
    assert!(names.set_hosts([("a..b", &[][..])]).is_err());
    assert!(names.answer(&www, RecordType::AAAA, false).is_some(), "a mistake changes nothing");
}

#[test]
fn both_families_have_names() {
    use RecordType::{A, AAAA, NS, PTR};
    let mut names = Names::new(&["192.168.7.0/24".parse().unwrap(), "172.20.0.0/14".parse().unwrap()]);
    let addresses = ["192.168.7.9", "2001:db8:5::9"].map(|text| text.parse().unwrap());
    names.set(b"p", "printer", &addresses).unwrap();
    names
        .set_with(b"q", "tv", &["172.21.3.4".parse().unwrap()], &["192.168.7.200".parse().unwrap()])
        .unwrap();
    names.set_gateway(&["192.168.7.1".parse().unwrap()]);
    let (lan, wide) = (Some("7.168.192.in-addr.arpa.".to_owned()), Some("21.172.in-addr.arpa.".to_owned()));
    let table: Vec<Row<'_>> = vec![
        ("printer.home.arpa.".into(), A, NoError, &["192.168.7.9"], None),
        ("printer.home.arpa.".into(), AAAA, NoError, &["2001:db8:5::9"], None),
        ("tv.home.arpa.".into(), A, NoError, &["172.21.3.4"], None),
        ("tv.home.arpa.".into(), AAAA, NoError, &[], Some("home.arpa.")),
        ("gateway.home.arpa.".into(), A, NoError, &["192.168.7.1"], None),
        ("9.7.168.192.in-addr.arpa.".into(), PTR, NoError, &["printer.home.arpa."], None),
        ("9.7.168.192.in-addr.arpa.".into(), A, NoError, &[], lan.as_deref()),
        ("200.7.168.192.in-addr.arpa.".into(), PTR, NoError, &["tv.home.arpa."], None),
        ("1.7.168.192.in-addr.arpa.".into(), PTR, NoError, &["gateway.home.arpa."], None),
        ("10.7.168.192.in-addr.arpa.".into(), PTR, NXDomain, &[], lan.as_deref()),
        ("09.7.168.192.in-addr.arpa.".into(), PTR, NXDomain, &[], lan.as_deref()),
        ("x.9.7.168.192.in-addr.arpa.".into(), PTR, NXDomain, &[], lan.as_deref()),
        ("7.168.192.in-addr.arpa.".into(), NS, NoError, &["gateway.home.arpa."], None),
        // A network that ends within an octet: each zone that it fills is ours, with the way down to a name.
        ("4.3.21.172.in-addr.arpa.".into(), PTR, NoError, &["tv.home.arpa."], None),
        ("3.21.172.in-addr.arpa.".into(), PTR, NoError, &[], wide.as_deref()),
        ("4.21.172.in-addr.arpa.".into(), PTR, NXDomain, &[], wide.as_deref()),
        // The neighbours' networks stay what they were: nobody's.
        ("9.8.168.192.in-addr.arpa.".into(), PTR, NXDomain, &[], Some("168.192.in-addr.arpa.")),
    ];
    for (name, kind, code, answers, zone) in table {
        let got = ask(&names, &name, kind).unwrap_or_else(|| panic!("{name} {kind}: forwarded"));
        let wanted =
            (code, answers.iter().map(|answer| (*answer).to_owned()).collect(), zone.map(str::to_owned));
        assert_eq!(got, wanted, "{name} {kind}");
    }
    assert_eq!(
        ask(&names, "4.3.24.172.in-addr.arpa.", PTR).unwrap().0,
        NXDomain,
        "outside of /14, still private"
    );
    assert_eq!(ask(&names, "4.3.2.9.in-addr.arpa.", PTR), None, "the world's");
    names.remove(b"q");
    assert_eq!(ask(&names, "200.7.168.192.in-addr.arpa.", PTR).unwrap().0, NXDomain);
}
