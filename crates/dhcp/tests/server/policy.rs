//! Who gets what: options, classes, lists, reservations, in simulated time.

use crate::asking::{Ask, Desk, assert_disjoint, client_address, client_duid, secs};
use sixgate_dhcp::identity::Identity;
use sixgate_dhcp::lease::{LeaseState, Resource};
use sixgate_dhcp::options::{Given, OptionSet, Value};
use sixgate_dhcp::policy::{Exclude, Policy};
use sixgate_dhcp::reservation::{Origin, Owner, Reservation, Reservations};
use sixgate_dhcp::server::{Action, Actions, Discard, Refusal};
use sixgate_wire::dhcpv6::{DhcpOption, MessageType, OptionCode, Options, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn set(entries: &[(&str, Value)]) -> OptionSet {
    OptionSet::new(entries.iter().map(|(key, value)| Given::new(key, value).unwrap()).collect()).unwrap()
}

fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn reservation(owner: Owner, resources: &[&str]) -> Reservation {
    Reservation {
        owner,
        link: None,
        resources: resources.iter().map(|text| text.parse().unwrap()).collect(),
        hostname: None,
        options: Arc::default(),
        origin: Origin::Command,
    }
}

fn reserved(all: impl IntoIterator<Item = Reservation>) -> Policy {
    let mut reservations = Reservations::default();
    for one in all {
        reservations.insert(one).unwrap();
    }
    Policy::new(OptionSet::default(), reservations)
}

/// A class of those that say `word` as their user class.
fn add_class(policy: &mut Policy, name: &str, options: OptionSet) {
    policy.add_class(name, &table(&[("user-class", Value::from(name))]), options).unwrap();
}

fn says(ask: Ask, class: &str) -> Ask {
    let length = u16::try_from(class.len()).unwrap().to_be_bytes();
    ask.raw(OptionCode::USER_CLASS, &[&length[..], class.as_bytes()].concat())
}

impl Desk {
    fn with_policy(policy: Policy) -> Self {
        let mut desk = Self::lan();
        desk.set_policy(policy);
        desk
    }

    fn set_policy(&mut self, policy: Policy) {
        let mut actions = Actions::new();
        self.server.set_policy(self.now, policy, &mut actions);
        self.act(actions);
    }

    fn renew(&mut self, ask: &Ask, resources: &[Resource]) -> Vec<(Resource, bool)> {
        let mut renew =
            Ask { kind: MessageType::RENEW, server: Some(crate::asking::server_duid()), ..ask.clone() };
        for (kind, _, listed) in &mut renew.ias {
            *listed = resources.iter().filter(|r| r.kind() == *kind).copied().collect();
        }
        let heard = self.ask(&renew).unwrap();
        heard.ias.iter().flat_map(|ia| &ia.leases).map(|lease| (lease.0, lease.2 > 0)).collect()
    }
}

fn solicit(client: u8) -> Ask {
    Ask::new(MessageType::SOLICIT, client).na(1, &[])
}

#[test]
fn options_are_those_of_the_nearest_place() {
    let portal = |text: &str| set(&[("captive-portal", Value::from(text))]);
    let mut mine = reservation(Owner::Duid(client_duid(1)), &[]);
    mine.options = Arc::new(portal("reserved"));
    let mut policy = reserved([mine]);
    let unasked = table(&[("value", Value::from("Europe/Zurich")), ("always", Value::Flag(true))]);
    add_class(&mut policy, "lab", portal("class"));
    policy.add_link(
        "lan".into(),
        set(&[("tzdb-timezone", unasked), ("dns-servers", Value::from("2001:db8::53"))]),
        None,
    );
    policy
        .add_part("lan".into(), "2001:db8:0:100::/56".parse().unwrap(), None, None, portal("pool"))
        .unwrap();
    let mut desk = Desk::with_policy(policy);
    let oro = [OptionCode::CAPTIVE_PORTAL, OptionCode::DNS_SERVERS];
    let portal = |desk: &mut Desk, ask: Ask| {
        let heard = desk.ask(&ask.oro(&oro)).unwrap();
        assert_eq!(heard.option(OptionCode::NEW_TZDB_TIMEZONE), Some(&b"Europe/Zurich"[..]));
        assert_eq!(
            heard.option(OptionCode::DNS_SERVERS).map(<[u8]>::len),
            Some(16),
            "in place of the link's own"
        );
        let codes: BTreeSet<_> = heard.raw.iter().map(|(code, _)| *code).collect();
        let repeated = [OptionCode::IA_NA, OptionCode::IA_PD];
        assert_eq!(
            codes.len(),
            heard.raw.iter().filter(|(code, _)| !repeated.contains(code)).count() + heard.ias.len()
        );
        String::from_utf8(heard.option(OptionCode::CAPTIVE_PORTAL).unwrap().to_vec()).unwrap()
    };
    assert_eq!(portal(&mut desk, says(solicit(1), "lab")), "reserved");
    assert_eq!(portal(&mut desk, says(solicit(2), "lab").pd(1, &[])), "class");
    assert_eq!(portal(&mut desk, solicit(2).pd(1, &[])), "pool");
    assert_eq!(portal(&mut desk, solicit(2)), "https://portal.example/api");
    let informing = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) };
    assert_eq!(portal(&mut desk, informing), "reserved");
    // Not asked for: only what is always sent.
    let heard = desk.ask(&solicit(3)).unwrap();
    assert!(heard.option(OptionCode::CAPTIVE_PORTAL).is_none());
    assert!(heard.option(OptionCode::NEW_TZDB_TIMEZONE).is_some());
}

#[test]
fn who_is_denied_hears_nothing_and_is_counted() {
    let mut policy = Policy::default();
    add_class(&mut policy, "bad", OptionSet::default());
    add_class(&mut policy, "good", OptionSet::default());
    policy.add_rules(None, &["bad".to_owned()], &[]).unwrap();
    policy.add_rules(Some("lan".into()), &[], &["good".to_owned(), "bad".to_owned()]).unwrap();
    let mut desk = Desk::with_policy(policy.clone());
    assert_eq!(desk.ask(&says(solicit(1), "bad")), None);
    assert_eq!(desk.ask(&solicit(2)), None);
    let information = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) };
    assert_eq!(desk.ask(&says(information, "bad")), None);
    assert!(desk.ask(&says(solicit(3), "good")).is_some());
    let counts: BTreeMap<String, u64> = desk.server.denied().collect();
    assert_eq!(counts["deny bad"], 2);
    assert_eq!(counts["lan: allow good, bad alone"], 1);
    assert_eq!(desk.server.counters().discarded(Discard::Denied), 3);
    assert!(desk.server.leases().is_empty() && desk.log.is_empty());
    // A new policy with the same rule goes on counting.
    desk.set_policy(policy);
    assert_eq!(desk.server.denied().map(|(_, count)| count).sum::<u64>(), 3);
    // Who registers an address is judged by the same rules.
    let inform = Ask { ias: Vec::new(), ..Ask::new(MessageType::ADDR_REG_INFORM, 1) };
    let source = "2001:db8:0:1::77".parse().unwrap();
    assert_eq!(desk.ask_on("lan", source, &says(inform, "bad").bytes()), None);
    assert_eq!(desk.server.counters().discarded(Discard::Denied), 4);
}

#[test]
fn members_get_from_their_part_and_others_do_not() {
    let mut policy = Policy::default();
    add_class(&mut policy, "lab", OptionSet::default());
    let part = "2001:db8:0:1::1000/124".parse().unwrap();
    policy.add_part("lan".into(), part, Some("lab"), None, OptionSet::default()).unwrap();
    let whole = "2001:db8:0:1e0::/59".parse().unwrap();
    policy.add_part("lan".into(), whole, Some("lab"), Some(62), OptionSet::default()).unwrap();
    let mut desk = Desk::with_policy(policy);
    let member = |client| says(solicit(client).pd(2, &[]), "lab");
    let inside = |resource: &Resource| match resource {
        Resource::Address(_) => part.contains(&resource.net()),
        Resource::Prefix(_) => whole.contains(&resource.net()),
    };
    for client in 1..=7 {
        let heard = desk.bind(&member(client));
        assert!(heard.usable().len() == 2 && heard.usable().iter().all(inside), "{heard:?}");
        assert_eq!(heard.usable()[1].net().prefix_len(), 62);
    }
    // Not by asking for it either.
    let hint = desk.bind(&Ask::new(MessageType::SOLICIT, 50).na(1, &["2001:db8:0:1::100a"]));
    assert!(!inside(&hint.only()));
    for client in 51..=70 {
        let heard = desk.bind(&solicit(client).pd(2, &[]));
        assert!(!heard.usable().iter().any(inside), "{heard:?}");
    }
    // Its part used up, a member gets nothing from elsewhere.
    for client in 8..=16 {
        desk.ask(&member(client)).unwrap();
        desk.bind(&says(solicit(client), "lab"));
    }
    let full = desk.ask(&says(solicit(17), "lab")).unwrap();
    assert_eq!(full.ias[0].status, StatusCode::NO_ADDRS_AVAIL);
    // Who joins or leaves the class is moved at its next message.
    let held = desk.bind(&solicit(100)).only();
    let left = desk.renew(&says(solicit(100), "x"), &[held]);
    assert_eq!(left, [(held, true)], "a class without a part changes nothing");
    let member_held =
        desk.server.leases().iter().find(|lease| lease.duid == client_duid(1)).unwrap().resource;
    let moved = desk.renew(&solicit(1), &[member_held]);
    assert_eq!(moved.iter().filter(|(resource, told)| *told && inside(resource)).count(), 0, "{moved:?}");
    assert!(moved.contains(&(member_held, false)));
    assert_disjoint(desk.disk.iter(), "disk");
}

#[test]
fn what_is_reserved_is_given_to_its_owner_alone() {
    let policy = reserved([
        reservation(Owner::Duid(client_duid(1)), &["2001:db8:0:1::77", "2001:db8:0:120::/60"]),
        reservation(Owner::Association(client_duid(2), 5), &["2001:db8:0:1::78"]),
        // Outside of the pool to delegate from.
        reservation(Owner::Duid(client_duid(3)), &["2001:db8:500::/48"]),
    ]);
    let mut desk = Desk::lan();
    let mut link = crate::asking::lan();
    link.lifetimes = Some(crate::asking::lifetimes(100, 200));
    let mut actions = Actions::new();
    desk.server.set_links(desk.now, vec![link], &mut actions);
    desk.set_policy(policy);
    // Asked for by another, and not got.
    let hint = desk.bind(
        &Ask::new(MessageType::SOLICIT, 9).na(1, &["2001:db8:0:1::77"]).pd(1, &["2001:db8:0:120::/60"]),
    );
    assert!(
        hint.usable()
            .iter()
            .all(|got| !["2001:db8:0:1::77", "2001:db8:0:120::/60"].contains(&&*got.to_string()))
    );
    let texts = |desk: &mut Desk, ask: &Ask| -> Vec<String> {
        desk.bind(ask).usable().iter().map(Resource::to_string).collect()
    };
    assert_eq!(texts(&mut desk, &solicit(1).pd(1, &[])), ["2001:db8:0:1::77", "2001:db8:0:120::/60"]);
    assert_eq!(texts(&mut desk, &Ask::new(MessageType::SOLICIT, 2).na(5, &[])), ["2001:db8:0:1::78"]);
    assert_ne!(texts(&mut desk, &solicit(2)), ["2001:db8:0:1::78"], "it is another association's");
    assert_eq!(
        texts(&mut desk, &Ask::new(MessageType::SOLICIT, 3).pd(1, &["2001:db8:0:110::/60"])),
        ["2001:db8:500::/48"]
    );
    assert_eq!(desk.server.routes().count(), 3);
    // Fill what is left of the pool to delegate from: one of its sixteen is reserved.
    for client in 20..36 {
        desk.ask(&Ask::new(MessageType::REQUEST, client).pd(1, &[])).unwrap();
    }
    assert!(desk.server.counters().exhausted > 0);
    assert_disjoint(desk.disk.iter(), "disk");
    // Nobody registers it either (RFC 9686), but its owner may.
    let mut actions = Actions::new();
    desk.server
        .reserve(reservation(Owner::Duid(client_duid(7)), &["2001:db8:0:1::79"]), &mut actions)
        .unwrap();
    let source = "2001:db8:0:1::79".parse().unwrap();
    let inform = |client| {
        let mut content = std::net::Ipv6Addr::octets(&source).to_vec();
        content.extend([0, 0, 1, 0, 0, 0, 1, 0]);
        Ask::new(MessageType::ADDR_REG_INFORM, client).raw(OptionCode::IA_ADDR, &content).bytes()
    };
    let send = |desk: &mut Desk, bytes: &[u8]| {
        let mut actions = Actions::new();
        let datagram =
            sixgate_dhcp::server::Datagram { link: "lan", source, port: 546, bytes, link_layer: None };
        desk.server.handle(desk.now, &datagram, &mut actions);
        desk.act(actions).len()
    };
    assert_eq!(send(&mut desk, &inform(8)), 0);
    assert_eq!(desk.server.counters().discarded(Discard::Reserved), 1);
    assert_eq!(send(&mut desk, &inform(7)), 1);
    // Without its reservation the route and the lease outside of the pool go.
    desk.set_policy(Policy::default());
    assert_eq!(
        desk.server.routes().filter(|route| route.prefix.to_string() == "2001:db8:500::/48").count(),
        0
    );
    let ended =
        desk.renew(&Ask::new(MessageType::RENEW, 3).pd(1, &[]), &["2001:db8:500::/48".parse().unwrap()]);
    assert!(ended.contains(&("2001:db8:500::/48".parse().unwrap(), false)), "{ended:?}");
}

#[test]
fn what_is_leased_is_taken_back_and_given_to_its_owner() {
    let mut desk = Desk::lan();
    let (holder, owner) = (solicit(1), solicit(2));
    let wanted = desk.bind(&holder).only();
    let first = desk.bind(&owner).only();
    desk.set_policy(reserved([reservation(Owner::Duid(client_duid(2)), &[&wanted.to_string()])]));
    // Until the holder hears of it, the owner keeps what it has, and that is counted.
    assert_eq!(desk.renew(&owner, &[first]), [(first, true)]);
    assert_eq!(desk.server.counters().reserved_waits, 1);
    // The holder is told to stop, and gets something else.
    desk.pass(secs(500));
    let heard = desk.renew(&holder, &[wanted]);
    assert!(heard.contains(&(wanted, false)), "{heard:?}");
    let second = heard.iter().find(|(_, told)| *told).unwrap().0;
    assert_ne!(second, wanted);
    // It may not have heard: for as long as it was promised it is nobody's.
    assert_eq!(desk.server.leases().get(wanted).unwrap().state, LeaseState::Retired);
    assert_eq!(desk.renew(&owner, &[first]), [(first, true)]);
    desk.pass(secs(1_000));
    assert_eq!(desk.renew(&owner, &[first]), [(first, true)]);
    desk.pass(secs(600));
    let heard = desk.renew(&owner, &[first]);
    assert_eq!(
        heard.iter().copied().collect::<BTreeSet<_>>(),
        [(wanted, true), (first, false)].into(),
        "{heard:?}"
    );
    assert_eq!(desk.renew(&owner, &[wanted]), [(wanted, true)]);
    assert_disjoint(desk.disk.iter(), "disk");
}

#[test]
fn a_name_and_an_exclusion_go_with_it() {
    let mut named = reservation(Owner::Duid(client_duid(1)), &["2001:db8:0:120::/60"]);
    named.hostname = Some("printer".to_owned());
    let mut policy = reserved([named]);
    policy.add_link("lan".into(), OptionSet::default(), Some(Exclude { length: 64, subnet: 3 }));
    let mut desk = Desk::with_policy(policy);
    let ask = solicit(1)
        .pd(1, &[])
        .oro(&[OptionCode::CLIENT_FQDN, OptionCode::PD_EXCLUDE])
        .raw(OptionCode::CLIENT_FQDN, b"\x00\x05hosta\x04test\0");
    let heard = desk.ask(&ask).unwrap();
    let bytes = desk.replies.last().unwrap().bytes.clone();
    let options = Options::parse(&bytes[4..]).unwrap();
    let Some(DhcpOption::ClientFqdn(name)) = options.find(OptionCode::CLIENT_FQDN) else {
        panic!("{heard:?}")
    };
    assert_eq!(name.name().as_deref(), Some("printer"));
    let Some(DhcpOption::IaPd(ia)) = options.find(OptionCode::IA_PD) else { panic!("{heard:?}") };
    let prefix = ia.prefixes().next().unwrap();
    // RFC 6603 section 4.2: four bits between /60 and /64, the subnet's number at the left.
    assert_eq!(
        prefix.options.find(OptionCode::PD_EXCLUDE),
        Some(DhcpOption::PdExclude { prefix_length: 64, subnet: &[0x30] })
    );
    // Who does not ask is not told.
    let heard = desk.ask(&Ask { oro: Vec::new(), ..ask }).unwrap();
    let plain = desk.replies.last().unwrap().bytes.clone();
    assert!(!plain.windows(4).any(|window| window == [0, 67, 0, 2]), "{heard:?}");
    desk.bind(&solicit(1));
    let lease = desk.disk.iter().find(|lease| lease.duid == client_duid(1)).unwrap();
    assert_eq!(lease.hostname.as_deref(), Some("printer"));
}

/// Ten thousand reservations: found as quickly as one, and nobody gets another's.
#[test]
fn many_reservations_are_kept_apart() {
    let many = (0..10_000_u32).map(|n| {
        let [.., a, b] = n.to_be_bytes();
        let owner = Owner::Mac([2, 0, 0, 1, a, b].into());
        reservation(owner, &[&format!("2001:db8:0:1::1:{n:x}")])
    });
    let mut desk = Desk::with_policy(reserved(many));
    for n in (0..10_000_u32).step_by(500) {
        let [.., a, b] = n.to_be_bytes();
        let bytes = solicit(1).bytes();
        let mac = [2, 0, 0, 1, a, b];
        let datagram = sixgate_dhcp::server::Datagram {
            link: "lan",
            source: client_address(1),
            port: 546,
            bytes: &bytes,
            link_layer: Some(&mac),
        };
        let mut actions = Actions::new();
        desk.server.handle(desk.now, &datagram, &mut actions);
        let [Action::Reply(reply)] = &actions[..] else { panic!("{actions:?}") };
        let got = crate::asking::Heard::read(reply).only();
        assert_eq!(got, format!("2001:db8:0:1::1:{n:x}").parse().unwrap());
    }
    // A stranger's hint at any of them is not heeded.
    let hint = desk.ask(&Ask::new(MessageType::SOLICIT, 9).na(1, &["2001:db8:0:1::1:20"])).unwrap().only();
    assert_ne!(hint.to_string(), "2001:db8:0:1::1:20");
}

/// Before the ISP's prefix is known there are no pools: what is reserved is extended, nothing else is said or ended.
#[test]
fn without_pools_only_what_is_reserved_is_extended() {
    let reserved_prefix = "2001:db8:500::/48";
    let mut link = crate::asking::lan();
    link.lifetimes = Some(crate::asking::lifetimes(100, 200));
    let mut desk =
        Desk::with_policy(reserved([reservation(Owner::Duid(client_duid(1)), &[reserved_prefix])]));
    let links = |desk: &mut Desk, link| {
        let mut actions = Actions::new();
        desk.server.set_links(desk.now, vec![link], &mut actions);
        desk.act(actions);
    };
    links(&mut desk, link.clone());
    let (owner, other) =
        (Ask::new(MessageType::SOLICIT, 1).pd(1, &[]), Ask::new(MessageType::SOLICIT, 2).pd(1, &[]));
    let (own, others) = (desk.bind(&owner).only(), desk.bind(&other).only());
    assert_eq!(own.to_string(), reserved_prefix);
    links(&mut desk, sixgate_dhcp::server::Link { delegation: Vec::new(), ..link });
    assert_eq!(desk.renew(&owner, &[own, others]), [(own, true)]);
    let renew = Ask::new(MessageType::RENEW, 2).pd(1, &[&others.to_string()]);
    assert_eq!(desk.ask(&renew), None);
    assert_eq!(desk.server.leases().get(others).unwrap().state, LeaseState::Bound);
}

#[test]
fn what_is_reserved_for_one_is_not_moved_to_another() {
    let mut desk = Desk::lan();
    let mine = desk.bind(&solicit(1)).only();
    let theirs = desk.bind(&solicit(4)).only();
    let text = mine.to_string();
    desk.set_policy(reserved([reservation(Owner::Duid(client_duid(2)), &[&text])]));
    let to = |client| Identity::Duid(client_duid(client));
    let mut actions = Actions::new();
    let refused = desk.server.move_lease(desk.now, mine, &to(3), &mut actions).unwrap_err();
    assert!(matches!(refused, Refusal::Reserved { resource, .. } if resource == mine), "{refused}");
    let said = refused.to_string();
    assert!(
        said.contains(&client_duid(2).to_string()) && said.contains("take the reservation away"),
        "{said}"
    );
    assert_eq!(desk.server.may_move(mine, &to(3)), Err(refused));
    assert!(actions.is_empty());
    // What is next to it may go anywhere, and to its owner it may go.
    desk.server.may_move(theirs, &to(3)).unwrap();
    desk.server.move_lease(desk.now, mine, &to(2), &mut actions).unwrap();
    // Reserved for a machine: known to be the client's by what its other leases say of it.
    let mac = Owner::Mac([2, 0, 0, 0, 0, 5].into());
    let mut desk = Desk::lan();
    let mine = desk.bind(&solicit(1)).only();
    desk.set_policy(reserved([reservation(mac, &[&mine.to_string()])]));
    assert!(matches!(desk.server.may_move(mine, &to(5)), Err(Refusal::Reserved { .. })), "not known yet");
    desk.bind(&Ask::new(MessageType::SOLICIT, 5).na(9, &[]));
    desk.server.may_move(mine, &to(5)).unwrap();
}
