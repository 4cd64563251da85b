use super::super::seen::{Advertised, Dhcp4, Dhcp6, Reached, Resolver, Target};
use super::*;
use crate::measure::path::Traced;
use sixgate_measure::path::{Pmtu, Standing};

fn router(address: &str) -> Router {
    Router {
        address: address.to_owned(),
        lifetime: 1800,
        preference: "medium".to_owned(),
        other: true,
        prefixes: vec![Advertised {
            prefix: "2001:db8:1::/64".to_owned(),
            length: 64,
            on_link: true,
            autonomous: true,
            valid: 5400,
            preferred: 2700,
        }],
        rdnss: vec![("2001:db8:1::53".to_owned(), 1800)],
        ..Router::default()
    }
}

/// A network on which nothing is wrong.
fn healthy() -> Seen {
    Seen {
        interface: "eth0".to_owned(),
        mtu: 1500,
        routers: vec![router("fe80::1")],
        global_address: true,
        dhcpv6: Asked::Answer(Dhcp6::default()),
        dhcpv4: Asked::Silence,
        resolvers: vec![Resolver {
            address: "2001:db8:1::53".to_owned(),
            answers_ms: vec![1.0; 4],
            asked: 4,
            ..Resolver::default()
        }],
        ..Seen::default()
    }
}

fn ids(seen: &Seen) -> Vec<&'static str> {
    judge(seen).iter().map(|finding| finding.id).collect()
}

#[test]
fn a_healthy_network_has_no_findings() {
    assert_eq!(judge(&healthy()), []);
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    type Fault = fn(&mut Seen);
    let faults: [(&str, Fault); 17] = [
        ("no-router", |seen| seen.routers[0].lifetime = 0),
        ("routers-disagree", |seen| {
            let mut rogue = router("fe80::bad");
            rogue.prefixes[0].prefix = "2001:db8:bad::/64".to_owned();
            seen.routers.push(rogue);
        }),
        ("no-prefix", |seen| {
            seen.routers[0].prefixes.clear();
            seen.global_address = false;
        }),
        ("ipv6-hidden", |seen| {
            let reached = |ms, why: Option<&str>| Some(Reached { ms, why: why.map(str::to_owned) });
            seen.ipv4 = true;
            seen.target = Some(Target {
                name: "far".to_owned(),
                ipv6: reached(None, Some("no answer")),
                ipv4: reached(Some(1.0), None),
                pmtu: None,
            });
        }),
        ("mtu-black-hole", |seen| {
            let pmtu = Some(Pmtu { works: Some(1400), reported: None, black_hole: Some(1401) });
            seen.ipv4 = true;
            seen.target = Some(Target { name: "far".to_owned(), pmtu, ..Target::default() });
        }),
        ("no-ipv6-resolver", |seen| {
            seen.routers[0].rdnss.clear();
            seen.resolvers.clear();
        }),
        ("resolver-silent", |seen| seen.resolvers[0].answers_ms.clear()),
        ("option-108-without-nat64", |seen| {
            seen.dhcpv4 = Asked::Answer(Dhcp4 { ipv6_only: Some(1800), ..Dhcp4::default() });
        }),
        ("dhcpv6-silent", |seen| seen.dhcpv6 = Asked::Silence),
        ("dhcpv6-unannounced", |seen| seen.routers[0].other = false),
        ("queue", |seen| {
            seen.path = Some(Traced {
                to: "far".to_owned(),
                family: "IPv6".to_owned(),
                reached: Some(3),
                hops: Vec::new(),
                standing: Some(Standing { after: 1, before: 2, wait_ms: 250.0 }),
                pmtu: Pmtu { works: Some(1500), reported: None, black_hole: None },
            });
        }),
        ("no-rdnss", |seen| seen.routers[0].rdnss.clear()),
        ("no-pref64", |seen| seen.resolvers[0].dns64 = vec!["64:ff9b::c000:aa".to_owned()]),
        ("advertised-mtu", |seen| seen.routers[0].mtu = Some(9000)),
        ("resolver-slow", |seen| seen.resolvers[0].answers_ms = vec![300.0; 4]),
        ("lifetimes", |seen| seen.routers[0].prefixes[0].valid = u32::MAX),
        ("captive-portal", |seen| {
            seen.routers[0].captive_portal = Some("https://portal.example/".to_owned());
        }),
    ];
    for (id, fault) in faults {
        let mut seen = healthy();
        fault(&mut seen);
        assert_eq!(ids(&seen), [id]);
    }
}

#[test]
fn two_routers_that_agree_are_two_routers() {
    let mut seen = healthy();
    seen.routers.push(router("fe80::2"));
    assert_eq!(ids(&seen), [""; 0]);
    // One that is no way out may say what it likes of the way out.
    seen.routers[1].lifetime = 0;
    seen.routers[1].rdnss.clear();
    assert_eq!(ids(&seen), [""; 0]);
}

#[test]
fn what_keeps_most_from_working_stands_first() {
    let mut seen = healthy();
    seen.routers[0].captive_portal = Some("https://portal.example/".to_owned());
    seen.routers[0].mtu = Some(100);
    seen.resolvers[0].answers_ms.clear();
    seen.routers[0].prefixes.clear();
    seen.global_address = false;
    assert_eq!(ids(&seen), ["no-prefix", "resolver-silent", "advertised-mtu", "captive-portal"]);
}

#[test]
fn pref64_is_a_nat64_for_option_108() {
    let mut seen = healthy();
    seen.dhcpv4 = Asked::Answer(Dhcp4 { ipv6_only: Some(1800), ..Dhcp4::default() });
    seen.routers[0].pref64 = Some(("64:ff9b::/96".to_owned(), 1800));
    assert_eq!(ids(&seen), [""; 0]);
}
