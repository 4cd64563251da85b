//! Access lists as text: what is read, how it is printed, what is refused and what is said of it.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::acl::{Acl, Mechanism, Prefix, Rule, Verdict, embedded};
use sixgate_endpoint::nat64;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[test]
fn one_text_for_each() {
    for (given, printed) in [
        ("allow 192.0.2.0/24", "allow 192.0.2.0/24"),
        ("\tdeny   2001:DB8:0::/32  # them", "deny 2001:db8::/32"),
        ("allow 192.0.2.1/32,2001:db8::1/128", "allow 192.0.2.1, 2001:db8::1"),
        ("allow 192.0.2.1 , ::", "allow 192.0.2.1, ::"),
        ("allow 0.0.0.0/0, ::/0", "allow 0.0.0.0/0, ::/0"),
        ("allow fe80::/10%eth0", "allow fe80::%eth0/10"),
        ("allow fe80::%eth0/10", "allow fe80::%eth0/10"),
        ("allow fe80::1%007", "allow fe80::1%7"),
        ("deny fe80::1%7/128", "deny fe80::1%7"),
        ("deny ff02::%br-lan.5/16", "deny ff02::%br-lan.5/16"),
        ("deny ::ffff:192.0.2.0/120", "deny 192.0.2.0/24"),
        ("deny ::ffff:192.0.2.1", "deny 192.0.2.1"),
        ("allow 64:ff9b::192.0.2.0/120", "allow 64:ff9b::c000:200/120"),
    ] {
        let rule: Rule = given.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(rule.to_string(), printed, "{given}");
        let acl: Acl = given.parse().unwrap();
        assert_eq!(acl.rules(), [rule]);
    }
}

#[test]
fn what_is_none_is_refused_where_it_stands() {
    for (text, line, column, quoted, remedy) in [
        ("permit 192.0.2.0/24", 1, 1, "permit", "begins with `allow` or `deny`"),
        ("# list\n\n  Allow ::/0", 3, 3, "Allow", "in small letters"),
        ("allow", 1, 6, "allow", "here belongs a prefix"),
        ("allow 192.0.2.1,", 1, 17, "allow 192.0.2.1,", "here belongs a prefix"),
        ("allow , ::1", 1, 7, "allow , ::1", "here belongs a prefix"),
        ("allow # ::1", 1, 6, "allow", "here belongs a prefix"),
        ("allow any", 1, 7, "any", "write `allow 0.0.0.0/0, ::/0`"),
        ("deny ::1, any", 1, 11, "any", "write `deny 0.0.0.0/0, ::/0`"),
        ("deny all", 1, 6, "all", "write `deny 0.0.0.0/0, ::/0`"),
        ("allow 192.0.2.1 192.0.2.2", 1, 7, "192.0.2.1 192.0.2.2", "a comma between them"),
        ("allow é, ::1", 1, 7, "é", "this is no prefix"),
        ("allow ::1, é", 1, 12, "é", "this is no prefix"),
        ("allow é::, x", 1, 7, "é::", "this is no prefix"),
        ("allow ::1, 10/8", 1, 12, "10/8", "write 192.0.2.0/24"),
        ("allow [::1]:53", 1, 7, "[::1]:53", "without brackets, port or name"),
        ("allow 192.0.2.1:53", 1, 7, "192.0.2.1:53", "without brackets, port or name"),
        ("allow example.com", 1, 7, "example.com", "without brackets, port or name"),
        ("allow 192.0.2.0/33", 1, 17, "33", "a number from 0 to 32"),
        ("allow 192.0.2.0/", 1, 7, "192.0.2.0/", "a number from 0 to 32"),
        ("allow 192.0.2.0/+8", 1, 17, "+8", "a number from 0 to 32"),
        ("allow 192.0.2.0/024", 1, 17, "024", "without leading zeros"),
        ("allow 192.0.2.0/255.255.255.0", 1, 17, "255.255.255.0", "the length of the prefix"),
        ("allow ::/129", 1, 10, "129", "a number from 0 to 128"),
        ("allow ::/0/0", 1, 10, "0/0", "a number from 0 to 128"),
        (
            "deny 192.0.2.1/24",
            1,
            6,
            "192.0.2.1/24",
            "write 192.0.2.0/24 for the whole network, or 192.0.2.1 for",
        ),
        (
            "deny 2001:db8::1/64",
            1,
            6,
            "2001:db8::1/64",
            "write 2001:db8::/64 for the whole network, or 2001:db8::1",
        ),
        (
            "deny ::ffff:192.0.2.1/120",
            1,
            6,
            "::ffff:192.0.2.1/120",
            "write 192.0.2.0/24 for the whole network",
        ),
        ("deny fe80::%/10", 1, 6, "fe80::%/10", "the name or the index of an interface"),
        ("deny fe80::/10%", 1, 6, "fe80::/10%", "the name or the index of an interface"),
        ("deny fe80::%0/10", 1, 13, "0", "the name or the index of an interface"),
        (
            "deny fe80::%averylongname016/10",
            1,
            13,
            "averylongname016",
            "the name or the index of an interface",
        ),
        ("deny fe80::%a%b/10", 1, 13, "a%b", "the name or the index of an interface"),
        ("deny 2001:db8::%eth0/32", 1, 6, "2001:db8::%eth0/32", "leave out what follows %"),
        ("deny 192.0.2.1%eth0", 1, 6, "192.0.2.1%eth0", "leave out what follows %"),
        ("deny ::ffff:192.0.2.1%eth0", 1, 6, "::ffff:192.0.2.1%eth0", "leave out what follows %"),
        // Broader than the scope.
        ("deny fe00::%eth0/9", 1, 6, "fe00::%eth0/9", "leave out what follows %"),
        ("deny ff00::%eth0/8", 1, 6, "ff00::%eth0/8", "leave out what follows %"),
        ("deny ::%eth0/0", 1, 6, "::%eth0/0", "leave out what follows %"),
        ("allow \u{1b}[2J", 1, 7, "\\u{1b}[2J", "this is no prefix"),
    ] {
        let error = text.parse::<Acl>().unwrap_err();
        assert_eq!(
            (error.line, error.column, error.text.as_str()),
            (line, column, quoted),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(remedy), "{text}: {error}");
        assert!(
            error.to_string().starts_with(&format!("line {line}, column {column}: `{quoted}`: ")),
            "{error}"
        );
    }
}

#[test]
fn one_rule_is_one() {
    for text in ["", "  ", "# no more", "allow ::1\ndeny ::2", "# x\nallow ::1"] {
        assert!(text.parse::<Rule>().is_err(), "{text:?}");
    }
    assert_eq!(Rule::new(Verdict::Allow, Vec::<Prefix>::new()), None);
    let long = format!("allow {}", "x".repeat(100_000));
    assert!(long.parse::<Acl>().unwrap_err().to_string().len() < 400);
}

/// The remedy that an error names is taken.
#[test]
fn remedies_are_right() {
    for text in
        ["allow any", "deny all", "allow 192.0.2.1/24", "deny 2001:db8::1/64", "deny ::ffff:192.0.2.1/95"]
    {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        let verdict = text.split(' ').next().unwrap();
        for remedy in
            error.split("write ").nth(1).unwrap().split(" for ").filter(|part| part.contains([':', '.']))
        {
            let remedy = remedy.rsplit("or ").next().unwrap().trim_matches('`');
            let rule =
                if remedy.starts_with(verdict) { remedy.to_owned() } else { format!("{verdict} {remedy}") };
            rule.parse::<Rule>().unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn a_mapped_prefix_with_a_length_of_ipv4_is_told_as_ipv4() {
    let error = "allow ::ffff:192.0.2.1/24".parse::<Acl>().unwrap_err().to_string();
    assert!(
        error.ends_with("write 192.0.2.0/24 for the whole network, or 192.0.2.1 for the one address"),
        "{error}"
    );
}

#[test]
fn warnings_name_both_rules() {
    let acl: Acl = "\
allow 10.0.0.0/8
deny 10.1.0.0/16       # never decides, and says otherwise
allow 192.0.2.0/25
allow 192.0.2.128/25, 192.0.2.200
deny 192.0.2.0/24      # held by two together
allow fe80::/64
deny fe80::1%eth0
allow ::/0, 2001:db8::/32
"
    .parse()
    .unwrap();
    let texts: Vec<_> = acl.warnings().map(|warned| warned.to_string()).collect();
    assert_eq!(
        texts,
        [
            "rule 2 (line 2): `deny 10.1.0.0/16` never decides: all of it is held by rule 1, which says otherwise; \
             move it before that, or delete it",
            "rule 4 (line 4): `allow 192.0.2.200` never decides: all of it is held by rule 4, which says the same; \
             delete it",
            "rule 5 (line 5): `deny 192.0.2.0/24` never decides: all of it is held by rule 3, 4, which says otherwise; \
             move it before that, or delete it",
            "rule 6 (line 6): `allow fe80::/64` holds on every link, where anybody may have such an address; name the \
             link, as in fe80::%eth0/10",
            "rule 7 (line 7): `deny fe80::1%eth0` never decides: all of it is held by rule 6, which says otherwise; \
             move it before that, or delete it",
            "rule 8 (line 8): `allow 2001:db8::/32` never decides: all of it is held by rule 8, which says the same; \
             delete it",
        ]
    );
    // A wider rule before a zone's, or one that comes before a part of it only.
    for (text, warnings) in [
        ("deny fe80::/10\ndeny fe80::%a/64", 1),
        ("deny fe80::%a/64\ndeny fe80::/10", 0),
        ("deny fe80::/65\ndeny fe80::%a/64", 0),
        ("deny fe80::/65\ndeny fe80::8000:0:0:0%a/65\ndeny fe80::%a/64\ndeny fe80::%b/64", 1),
        ("deny fe80::%a/64\ndeny fe80::%b/64\ndeny fe80::%a/65", 1),
    ] {
        assert_eq!(text.parse::<Acl>().unwrap().warnings().len(), warnings, "{text}");
    }
    let twice = "deny 192.0.2.1\n".repeat(5000);
    assert_eq!(twice.parse::<Acl>().unwrap().warnings().len(), 1000);
}

/// Work grows with the text, not with its square: this would not end within the test's time.
#[test]
fn many_zones_are_no_trap() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for place in 1..=20_000 {
        writeln!(
            text,
            "allow fe80::%{place}/10\ndeny fe80::{place:x}, 10.{}.{}.0/24\ndeny 0.0.0.0/0",
            place / 256,
            place % 256
        )
        .unwrap();
    }
    let acl: Acl = text.parse().unwrap();
    assert_eq!(acl.rules().len(), 60_000);
    let peer: sixgate_endpoint::Endpoint = "fe80::ffff:1%20000".parse().unwrap();
    assert_eq!(acl.decide(peer).place(), Some(59_997));
}

#[test]
fn decisions_tell_why() {
    let acl: Acl =
        "# of the house\ndeny 192.0.2.0/24, 198.51.100.7\nallow 64:ff9b::/96, fe80::%2/10".parse().unwrap();
    let text = |peer: &str| acl.decide(peer.parse::<sixgate_endpoint::Endpoint>().unwrap()).to_string();
    assert_eq!(text("198.51.100.7:53"), "198.51.100.7 denied by rule 1 (line 2): deny 198.51.100.7");
    let links: Acl = "deny fe80::%3/10, fe80::%2/10, fe80::/10".parse().unwrap();
    let told = |peer: &str| links.decide(peer.parse::<sixgate_endpoint::Endpoint>().unwrap()).to_string();
    assert_eq!(told("fe80::1%2"), "fe80::1%2 denied by rule 1 (line 1): deny fe80::%2/10");
    assert_eq!(told("fe80::1%4"), "fe80::1%4 denied by rule 1 (line 1): deny fe80::/10");
    let many = (0..5000u32).map(|place| IpAddr::from(Ipv4Addr::from_bits(place * 2)));
    let many = Acl::new(Rule::new(Verdict::Allow, many));
    assert_eq!(
        many.decide(Ipv4Addr::from_bits(9998)).to_string(),
        "0.0.39.14 allowed by rule 1: allow one of 5000 prefixes"
    );
    assert_eq!(text("[fe80::1%2]:53"), "fe80::1%2 allowed by rule 2 (line 3): allow fe80::%2/10");
    assert_eq!(
        text("64:ff9b::192.0.2.1"),
        "64:ff9b::c000:201 allowed by rule 2 (line 3): allow 64:ff9b::/96; it is NAT64 for 192.0.2.1, which would be \
         denied by rule 1"
    );
    assert_eq!(
        text("2002:cb00:7101::1"),
        "2002:cb00:7101::1 denied: no rule holds it; it is 6to4 for 203.0.113.1, which would be denied: no rule holds it"
    );
}

/// RFC 6052 section 2.4, table 2 has the texts of the first six.
#[test]
fn embedded_ipv4_is_reported() {
    let ours = |text: &str| {
        let (address, length) = text.split_once('/').unwrap();
        nat64::Prefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
    };
    let here: Ipv4Addr = "192.0.2.33".parse().unwrap();
    for (prefix, address) in [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ] {
        let address: Ipv6Addr = address.parse().unwrap();
        assert_eq!(embedded(address, &[ours(prefix)]), Some((Mechanism::Nat64, here)), "{prefix}");
        assert_eq!(embedded(address, &[]), None, "{prefix}");
        let acl = "deny 192.0.2.0/24\nallow ::/0".parse::<Acl>().unwrap().with_nat64([ours(prefix)]);
        let decision = acl.decide(address);
        let report = decision.embedded().unwrap();
        // Told, not followed.
        assert!(decision.is_allowed());
        assert_eq!((report.address, report.verdict, report.rule), (here, Verdict::Deny, Some(0)));
    }
    for (address, expected) in [
        ("64:ff9b::192.0.2.33", Some((Mechanism::Nat64, here))),
        ("64:ff9b:1::192.0.2.33", Some((Mechanism::Nat64, here))),
        ("64:ff9b:1:fffe::192.0.2.33", Some((Mechanism::Nat64, here))),
        ("64:ff9b:2::192.0.2.33", None),
        ("64:ff9b:0:1::192.0.2.33", None),
        ("2002:c000:221::1", Some((Mechanism::SixToFour, here))),
        // RFC 4380 section 4: bits of the client's address turned over.
        ("2001:0:4136:e378:8000:63bf:3fff:fdde", Some((Mechanism::Teredo, here))),
        ("2001:db8::5efe:192.0.2.33", Some((Mechanism::Isatap, here))),
        ("2001:db8::200:5efe:192.0.2.33", Some((Mechanism::Isatap, here))),
        ("fe80::5efe:192.0.2.33", Some((Mechanism::Isatap, here))),
        ("2001:db8::100:5efe:192.0.2.33", None),
        ("::192.0.2.33", Some((Mechanism::Compatible, here))),
        ("::", None),
        ("::1", None),
        ("2001:db8::192.0.2.33", None),
        ("::ffff:192.0.2.33", None),
    ] {
        assert_eq!(embedded(address.parse().unwrap(), &[]), expected, "{address}");
    }
    // The longest prefix reads the address; one's own before the well-known.
    let both = [ours("64:ff9b:1::/48"), ours("64:ff9b:1:aaaa::/64")];
    let address: Ipv6Addr = "64:ff9b:1:aaaa:c0:2:2100::".parse().unwrap();
    assert_eq!(embedded(address, &both), Some((Mechanism::Nat64, here)));
    // Bits 64 to 71 are zero in what a translator makes of a prefix of up to 64 bits.
    assert_eq!(ours("2001:db8::/32").extract("2001:db8:c000:221:100::".parse().unwrap()), None);
    // The IPv4 rules hold nobody of these.
    let acl: Acl = "allow 0.0.0.0/0".parse().unwrap();
    for address in ["64:ff9b::192.0.2.33", "2002:c000:221::1", "::192.0.2.33"] {
        let decision = acl.decide(address.parse::<IpAddr>().unwrap());
        assert!(!decision.is_allowed());
        assert_eq!(decision.embedded().unwrap().verdict, Verdict::Allow);
    }
}

#[cfg(feature = "serde")]
#[test]
fn lists_of_strings() {
    let json = r#"["allow 192.0.2.0/24, 2001:db8::/32","deny fe80::%eth0/10"]"#;
    let acl: Acl = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&acl).unwrap(), json);
    for (json, told) in [
        (r#"["allow ::1", "allow any"]"#, "line 2, column 7: `any`"),
        (r#"["allow ::1\ndeny ::2"]"#, "here belongs one rule"),
        (r##"["# x\ndeny ::2"]"##, "here belongs one rule"),
        (r#"[""]"#, "begins with"),
        (r#""allow ::1""#, "expected a sequence"),
    ] {
        let error = serde_json::from_str::<Acl>(json).unwrap_err().to_string();
        assert!(error.contains(told), "{json}: {error}");
    }
    let prefix: Prefix = serde_json::from_str(r#""::ffff:192.0.2.1""#).unwrap();
    assert_eq!(serde_json::to_string(&prefix).unwrap(), r#""192.0.2.1""#);
    let rule: Rule = serde_json::from_str(r#""deny ::1/128""#).unwrap();
    assert_eq!(serde_json::to_string(&rule).unwrap(), r#""deny ::1""#);
}
