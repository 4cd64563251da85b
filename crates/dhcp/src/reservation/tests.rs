//! Who finds what, what clashes, and that nothing is left behind.

use super::*;
use crate::identity::Mac;
use proptest::prelude::*;
use sixgate_wire::dhcpv6::Options;

fn duid(last: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0, last])
}

fn reservation(owner: Owner, link: Option<&str>, resources: &[&str]) -> Reservation {
    Reservation {
        owner,
        link: link.map(Into::into),
        resources: resources.iter().map(|text| text.parse().unwrap()).collect(),
        hostname: None,
        options: Arc::default(),
        origin: Origin::Line(1),
    }
}

fn asking<'a>(link: &'a str, duid: &'a [u8], mac: &'a [u8], subscriber_id: &'a [u8]) -> Asking<'a> {
    Asking {
        link,
        duid: Some(duid),
        mac: Mac::new(mac),
        interface_id: Some(b"eth7"),
        remote_id: Some(b"\0\0\0\x09line"),
        subscriber_id: Some(subscriber_id),
        agent: None,
        hops: &[],
        options: Options::parse(&[]).unwrap(),
    }
}

#[test]
fn the_first_owner_that_has_something_here_counts() {
    let mut all = Reservations::default();
    let lines = [
        reservation(Owner::Association(duid(1), 7), None, &["2001:db8::1"]),
        reservation(Owner::Duid(duid(1)), Some("lan1"), &["2001:db8::2"]),
        reservation(Owner::Mac([2, 2].into()), None, &["2001:db8::3"]),
        reservation(Owner::Mac([2, 2].into()), None, &["2001:db8:1::/48"]),
        reservation(Owner::Subscriber((*b"s").into()), None, &["2001:db8::4"]),
        reservation(Owner::Remote((*b"\0\0\0\x09line").into()), None, &["2001:db8::5"]),
        reservation(Owner::Interface((*b"eth7").into()), Some("lan0"), &["2001:db8::6"]),
    ];
    for line in lines {
        all.insert(line).unwrap();
    }
    let (one, two) = (duid(1), duid(2));
    for (link, duid, mac, subscriber, iaid, expected) in [
        ("lan0", &one, &[2, 2], b"s", Some(7), "2001:db8::1"),
        ("lan0", &one, &[2, 2], b"s", Some(8), "2001:db8::3 2001:db8:1::/48"),
        ("lan0", &one, &[2, 2], b"s", None, "2001:db8::3 2001:db8:1::/48"),
        ("lan1", &one, &[2, 2], b"s", Some(8), "2001:db8::2"),
        ("lan1", &two, &[2, 3], b"s", Some(7), "2001:db8::4"),
        ("lan1", &two, &[2, 3], b"t", Some(7), "2001:db8::5"),
    ] {
        let asking = asking(link, duid.as_bytes(), mac, subscriber);
        let found: Vec<String> =
            all.find(&asking, iaid).flat_map(|row| &row.resources).map(Resource::to_string).collect();
        assert_eq!(found.join(" "), expected);
    }
    let nobody = Asking { remote_id: None, ..asking("lan1", two.as_bytes(), &[2, 3], b"t") };
    assert_eq!(all.find(&nobody, None).count(), 0, "the port is one of another link's relay agent");
    assert_eq!(all.find(&Asking { link: "lan0", ..nobody }, None).count(), 1);
    assert!(all.any_of_kind("lan0", Kind::Prefix) && all.is_reserved("lan0", "2001:db8::6".parse().unwrap()));
    assert!(!all.is_reserved("lan1", "2001:db8::6".parse().unwrap()));
}

#[test]
fn who_was_there_first_keeps_it() {
    let mut all = Reservations::default();
    all.insert(reservation(Owner::Duid(duid(1)), None, &["2001:db8::1", "2001:db8:1::/48"])).unwrap();
    for (owner, resource, clash) in [
        (2, "2001:db8::1", true),
        (2, "2001:db8:1:7::/64", true),
        (2, "2001:db8::/32", true),
        (2, "2001:db8:1::5", true),
        (1, "2001:db8::1", true),
        (1, "2001:db8:1::5", false),
        (2, "2001:db8::2", false),
    ] {
        let outcome = all.clone().insert(reservation(Owner::Duid(duid(owner)), None, &[resource]));
        assert_eq!(outcome.is_err(), clash, "{owner} {resource}");
        if let Err(conflict) = outcome {
            let text = conflict.to_string();
            assert!(text.contains("duid 00:03:00:01:02:00:00:00:00:01 (line 1)"), "{text}");
        }
    }
    let many: Vec<String> = (0..9).map(|n| format!("2001:db8:2::{n:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        all.insert(reservation(Owner::Duid(duid(3)), None, &many)),
        Err(Conflict::Resources { count: 9 })
    );
}

#[test]
fn names_of_lines_come_back() {
    for octets in [&b"eth0/7"[..], b"0x41", b"a b", &[0, 255], b"a*"] {
        assert_eq!(line_of_name(&name_of_line(octets)).as_deref(), Some(octets));
    }
    assert_eq!(line_of_name("0x4"), None);
    assert_eq!(line_of_name(""), None);
}

proptest! {
    /// Whatever comes and goes: what stands never overlaps what is another's, and what went leaves nothing behind.
    #[test]
    fn nothing_is_left_behind(steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..4_u8, any::<bool>()), 1..60)) {
        let mut all = Reservations::default();
        let mut ids = Vec::new();
        for (client, place, kind, remove) in steps {
            if remove && !ids.is_empty() {
                let id = ids.remove(usize::from(place) % ids.len());
                prop_assert!(all.remove(id).is_some());
                continue;
            }
            let owner = match kind {
                0 => Owner::Duid(duid(client)),
                1 => Owner::Association(duid(client), u32::from(place)),
                2 => Owner::Mac([2, client].into()),
                _ => Owner::Interface([client].into()),
            };
            let resource = match place {
                0..=2 => format!("2001:db8::{place}"),
                3 => "2001:db8::/120".to_owned(),
                4 => "2001:db8::/64".to_owned(),
                _ => "2001:db9::/48".to_owned(),
            };
            if let Ok(id) = all.insert(reservation(owner, None, &[&resource])) {
                ids.push(id);
            }
        }
        for (_, one) in all.iter() {
            for resource in &one.resources {
                for (other, row) in all.overlaps(resource.net()) {
                    prop_assert!(row.owner == one.owner, "{resource} and {other}");
                }
            }
        }
        for id in ids {
            all.remove(id);
        }
        all.next = 0;
        prop_assert_eq!(all, Reservations::default());
    }
}
