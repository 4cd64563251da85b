//! What RFC 9915 demands of a server and no other test shows: see docs/conformance.md.

use crate::asking::*;
use sixgate_dhcp::lease::Kind;
use sixgate_dhcp::options::{Given, OptionSet, Value};
use sixgate_dhcp::policy::Policy;
use sixgate_dhcp::reservation::Reservations;
use sixgate_dhcp::server::{Action, Actions, Datagram, Discard, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode, Options, StatusCode};

const BOUND_KINDS: [MessageType; 4] =
    [MessageType::RENEW, MessageType::REBIND, MessageType::RELEASE, MessageType::DECLINE];

/// Sections 16.5 to 16.9.
#[test]
fn what_section_16_says_of_each_message() {
    let other = Some(client_duid(99));
    for kind in [MessageType::CONFIRM, MessageType::REBIND] {
        let anonymous = Ask { client: None, ..Ask::new(kind, 1).na(1, &["2001:db8:0:1::5"]) };
        let named = Ask { server: Some(server_duid()), ..Ask::new(kind, 1).na(1, &["2001:db8:0:1::5"]) };
        for (ask, reason) in [(anonymous, Discard::NoClientId), (named, Discard::ServerId)] {
            let mut desk = Desk::lan();
            assert_eq!(desk.ask(&ask), None, "{kind:?}");
            assert_eq!(desk.server.counters().discarded(reason), 1, "{kind:?}");
        }
    }
    for kind in [MessageType::REQUEST, MessageType::RENEW, MessageType::RELEASE, MessageType::DECLINE] {
        for (client, server, reason) in [
            (Some(client_duid(1)), None, Discard::NoServerId),
            (Some(client_duid(1)), other.clone(), Discard::OtherServer),
            (None, Some(server_duid()), Discard::NoClientId),
        ] {
            let mut desk = Desk::lan();
            let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
            let ask = Ask { client, server, ..Ask::new(kind, 1) }.ia(&bound.ias[0]);
            assert_eq!(desk.ask(&ask), None, "{kind:?}");
            assert_eq!(desk.server.counters().discarded(reason), 1, "{kind:?}");
            assert_eq!(desk.disk.len(), 1, "nothing ended");
        }
    }
}

/// Section 16.14.
#[test]
fn a_server_takes_no_relay_reply() {
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).bytes();
    let mut relayed = vec![MessageType::RELAY_REPLY.0, 0];
    relayed.extend([0; 32]);
    relayed.extend([0, 9]);
    relayed.extend((solicit.len() as u16).to_be_bytes());
    relayed.extend(solicit);
    let mut desk = Desk::lan();
    assert_eq!(desk.ask_on("lan", client_address(1), &relayed), None);
    assert!(desk.server.leases().is_empty());
}

/// Sections 16.10 and 18.3, for each message that is answered.
#[test]
fn every_answer_says_who_speaks_to_whom() {
    let mut desk = Desk::lan();
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]);
    let mut answers = vec![desk.ask(&solicit).unwrap()];
    let bound = desk.bind(&solicit);
    let confirm = Ask::new(MessageType::CONFIRM, 1).ia(&bound.ias[0]);
    answers.push(desk.ask(&confirm).unwrap());
    answers.push(desk.ask(&Ask::new(MessageType::INFORMATION_REQUEST, 1)).unwrap());
    for kind in BOUND_KINDS {
        answers.push(desk.ask(&Ask::new(kind, 1).ia(&bound.ias[0])).unwrap());
    }
    answers.push(bound);
    for answer in answers {
        // `Heard::read` has looked at the server's identifier.
        assert_eq!(answer.client.as_deref(), Some(client_duid(1).as_bytes()), "{answer:?}");
        assert_eq!(answer.transaction, [1, 2, 3], "{answer:?}");
        let identifiers = [OptionCode::CLIENT_ID, OptionCode::SERVER_ID]
            .map(|code| answer.raw.iter().filter(|(known, _)| *known == code).count());
        assert_eq!(identifiers, [1, 1], "{answer:?}");
    }
}

/// Sections 18.1, 18.3.2, 18.3.4 and 18.3.5.
#[test]
fn t1_and_t2_are_the_same_in_all_associations() {
    let mut link = lan();
    // Two pools whose lifetimes differ: the shorter one decides for both.
    link.delegation[0].lifetimes = lifetimes(400, 900);
    let mut desk = Desk::new(config(vec![link]));
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).na(2, &[]).pd(3, &[]));
    let mut replies = vec![bound.clone()];
    for kind in [MessageType::RENEW, MessageType::REBIND] {
        let ask = bound.ias.iter().fold(Ask::new(kind, 1), super::asking::Ask::ia);
        replies.push(desk.ask(&ask).unwrap());
    }
    for reply in replies {
        assert_eq!(reply.ias.len(), 3);
        assert!(reply.ias.iter().all(|ia| ia.times == (200, 320)), "{reply:?}");
    }
}

/// Section 18.3.1: nothing is told before it is committed.
#[test]
fn rapid_commit_waits_for_the_disk() {
    let mut desk = Desk::lan();
    let ask = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[]).bytes();
    let datagram =
        Datagram { link: "lan", source: client_address(1), port: 546, bytes: &ask, link_layer: None };
    let mut actions = Actions::new();
    desk.server.handle(desk.now, &datagram, &mut actions);
    let [Action::Commit { ticket, .. }] = actions[..] else { panic!("{actions:?}") };
    let mut after = Actions::new();
    desk.server.committed(ticket, &mut after);
    assert!(matches!(after[..], [Action::Reply(_)]), "{after:?}");
}

/// Section 18.3.2: what time has passed since shows in the second Reply.
#[test]
fn a_request_that_comes_twice_gets_a_reply_made_anew() {
    let mut link = lan();
    link.addresses[0].lifetimes.valid_until = START + secs(1_500);
    link.addresses[0].lifetimes.preferred_until = START + secs(1_500);
    let mut desk = Desk::new(config(vec![link]));
    let request = Ask::new(MessageType::REQUEST, 1).na(1, &[]);
    let first = desk.ask(&request).unwrap();
    desk.pass(secs(1_000));
    let second = desk.ask(&request).unwrap();
    assert_eq!(first.only(), second.only());
    assert_eq!((first.ias[0].leases[0].2, second.ias[0].leases[0].2), (1_500, 500));
}

/// Section 18.3.9: an Advertise without the option has preference 0.
#[test]
fn without_a_preference_none_is_sent() {
    let mut desk = Desk::new(ServerConfig { preference: None, ..config(vec![lan()]) });
    let offer = desk.ask(&Ask::new(MessageType::SOLICIT, 1).na(1, &[])).unwrap();
    assert_eq!((offer.kind, offer.option(OptionCode::PREFERENCE)), (MessageType::ADVERTISE, None));
}

/// Section 18.3.10. `Desk::ask_on` compares link, address and port of the answer with those of the message.
#[test]
fn an_answer_leaves_where_its_message_came_in() {
    let other = sixgate_dhcp::server::Link { name: "other".into(), ..lan() };
    let mut desk = Desk::new(config(vec![lan(), other]));
    let ask = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).bytes();
    for link in ["lan", "other"] {
        assert!(desk.ask_on(link, client_address(1), &ask).is_some(), "{link}");
    }
}

/// Section 21: the second Option Request is not a continuation of the first.
#[test]
fn two_options_of_one_code_are_two_options() {
    let half = |code: OptionCode| code.0.to_be_bytes();
    let [first, second] = half(OptionCode::DNS_SERVERS);
    let mut desk = Desk::lan();
    // Joined, the two halves would ask for the resolvers.
    let ask = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) }
        .raw(OptionCode::ORO, &[first])
        .raw(OptionCode::ORO, &[second]);
    let heard = desk.ask(&ask).unwrap();
    assert_eq!(heard.option(OptionCode::DNS_SERVERS), None);
}

/// Sections 21.4, 21.6, 21.21 and 21.22.
#[test]
fn what_a_client_wishes_for_times_is_ignored() {
    let wish = |kind: Kind| {
        let mut data = vec![0, 0, 0, 1];
        // T1, T2, and one lease inside, all with lifetimes of seven seconds.
        data.extend([0, 0, 0, 7, 0, 0, 0, 7]);
        let (code, mut inner) = match kind {
            Kind::Address => {
                (5_u16, "2001:db8:0:1::77".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec())
            }
            Kind::Prefix => (26, Vec::new()),
        };
        inner.extend([0, 0, 0, 7, 0, 0, 0, 7]);
        if kind == Kind::Prefix {
            inner.push(60);
            inner.extend("2001:db8:0:140::".parse::<std::net::Ipv6Addr>().unwrap().octets());
        }
        data.extend(code.to_be_bytes());
        data.extend((inner.len() as u16).to_be_bytes());
        data.extend(inner);
        data
    };
    for (kind, code) in [(Kind::Address, OptionCode::IA_NA), (Kind::Prefix, OptionCode::IA_PD)] {
        for message in [MessageType::SOLICIT, MessageType::REQUEST, MessageType::RENEW] {
            let mut desk = Desk::lan();
            let heard = desk.ask(&Ask::new(message, 1).raw(code, &wish(kind))).unwrap();
            let ia = &heard.ias[0];
            assert_eq!((ia.times, ia.leases[0].1, ia.leases[0].2), ((500, 800), 1_000, 2_000), "{message:?}");
        }
    }
}

/// Section 21.13.
#[test]
fn no_status_text_ends_with_a_zero() {
    let mut desk = Desk::new(config(vec![sixgate_dhcp::server::Link::new("lan")]));
    let nothing = desk.ask(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(2, &[])).unwrap();
    assert_eq!(nothing.ias[0].status, StatusCode::NO_ADDRS_AVAIL);
    let release = desk.ask(&Ask::new(MessageType::RELEASE, 1).na(1, &["2001:db8::1"])).unwrap();
    let inside = |data: &[u8]| data.windows(2).position(|two| two == [0, 13]).map(|at| data[at..].to_vec());
    let texts: Vec<Vec<u8>> = (nothing.raw.iter().chain(&release.raw))
        .filter_map(|(code, data)| match *code {
            OptionCode::STATUS_CODE => Some(data.clone()),
            OptionCode::IA_NA | OptionCode::IA_PD => inside(data),
            _ => None,
        })
        .collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().all(|text| text.last().is_some_and(|octet| *octet != 0)), "{texts:?}");
}

/// Section 21.23.
#[test]
fn an_information_refresh_time_is_never_below_irt_minimum() {
    for (configured, told) in [(60, 600), (600, 600), (86_400, 86_400), (u32::MAX, u32::MAX)] {
        let link = sixgate_dhcp::server::Link { information_refresh: Some(configured), ..lan() };
        let mut desk = Desk::new(config(vec![link]));
        let ask = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) }
            .oro(&[OptionCode::INFORMATION_REFRESH_TIME]);
        let heard = desk.ask(&ask).unwrap();
        assert_eq!(heard.option(OptionCode::INFORMATION_REFRESH_TIME), Some(&u32::to_be_bytes(told)[..]));
    }
}

fn configured(entries: Vec<(&str, Value)>) -> Desk {
    let given = entries.into_iter().map(|(name, value)| Given::new(name, &value).unwrap()).collect();
    let policy = Policy::new(OptionSet::new(given).unwrap(), Reservations::default());
    let mut desk = Desk::lan();
    let mut actions = Actions::new();
    desk.server.set_policy(desk.now, policy, &mut actions);
    desk
}

fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

/// Section 18.3.9: rules, border relay and ports of a softwire are in the container, whatever else was asked for.
#[test]
fn a_container_that_is_asked_for_comes_whole() {
    let rule = |ipv6: &str| {
        table(&[
            ("ipv4", Value::from("192.0.2.0/24")),
            ("ipv6", Value::from(ipv6)),
            ("ea-length", Value::Number(16)),
        ])
    };
    let rules = Value::List(vec![rule("2001:db8::/40"), rule("2001:db8:100::/40")]);
    let map = table(&[("rules", rules), ("relays", Value::List(vec![Value::from("2001:db8::1")]))]);
    let mut desk = configured(vec![("s46-mape", map)]);
    for kind in [MessageType::SOLICIT, MessageType::REQUEST, MessageType::INFORMATION_REQUEST] {
        let ask = Ask::new(kind, 1).oro(&[OptionCode::S46_CONT_MAPE]);
        let ask = if kind == MessageType::INFORMATION_REQUEST { ask } else { ask.na(1, &[]) };
        let heard = desk.ask(&ask).unwrap();
        let content = heard.option(OptionCode::S46_CONT_MAPE).unwrap_or_else(|| panic!("{heard:?}"));
        let inside: Vec<OptionCode> = Options::parse(content).unwrap().raw().map(|(code, _)| code).collect();
        let count = |code| inside.iter().filter(|known| **known == code).count();
        assert_eq!((count(OptionCode::S46_RULE), count(OptionCode::S46_BR), inside.len()), (2, 1, 3));
    }
}

/// Section 21.17: what is configured for one enterprise is one option, and for another is another.
#[test]
fn vendor_options_of_one_enterprise_are_in_one_option() {
    let vendor = |enterprise: i64, codes: &[&str]| {
        let text = || table(&[("type", Value::from("text")), ("value", Value::from("x"))]);
        let entries: Vec<(&str, Value)> = codes.iter().map(|code| (*code, text())).collect();
        table(&[("enterprise", Value::Number(enterprise)), ("options", table(&entries))])
    };
    let both = Value::List(vec![vendor(4_491, &["1", "2"]), vendor(9, &["1"])]);
    let mut desk = configured(vec![("vendor-options", both)]);
    let ask = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).oro(&[OptionCode::VENDOR_OPTS]);
    let heard = desk.ask(&ask).unwrap();
    let told = heard.raw.iter().filter(|(code, _)| *code == OptionCode::VENDOR_OPTS);
    let enterprises: Vec<&[u8]> = told.map(|(_, content)| &content[..4]).collect();
    assert_eq!(enterprises, [&4_491_u32.to_be_bytes()[..], &9_u32.to_be_bytes()]);
    let twice = Value::List(vec![vendor(9, &["1"]), vendor(9, &["2"])]);
    let error = Given::new("vendor-options", &twice).unwrap_err().to_string();
    assert!(error.contains("enterprise 9 stands twice"), "{error}");
}

/// Section 21.16: no message of a server has a vendor class, and the client sends none.
#[test]
fn a_vendor_class_is_the_clients_word_and_not_given_back() {
    let mut desk = Desk::lan();
    let class = [&4_491_u32.to_be_bytes()[..], &[0, 2], b"ab"].concat();
    let ask = Ask::new(MessageType::SOLICIT, 1)
        .na(1, &[])
        .oro(&[OptionCode::VENDOR_CLASS])
        .raw(OptionCode::VENDOR_CLASS, &class);
    assert_eq!(desk.ask(&ask).unwrap().option(OptionCode::VENDOR_CLASS), None);
    assert!(Given::new("16", &Value::from("x")).is_err(), "nobody can configure one");
}
