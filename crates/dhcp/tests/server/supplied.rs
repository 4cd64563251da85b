//! What relay agents supply for their clients (RFC 6422).

use crate::asking::*;
use crate::relaying::{Hop, ask, relays, remote};
use sixgate_dhcp::options::{Given, OptionSet, Value};
use sixgate_dhcp::policy::Policy;
use sixgate_dhcp::reservation::Reservations;
use sixgate_dhcp::server::{Actions, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode};

const ERP: OptionCode = OptionCode::ERP_LOCAL_DOMAIN_NAME;

fn name(label: &[u8]) -> Vec<u8> {
    [&[label.len() as u8][..], label, &[0]].concat()
}

fn desk() -> Desk {
    Desk::new(ServerConfig { remote: remote(|_| {}), relays: relays(), ..config(vec![lan()]) })
}

/// The agent on the client's link, which supplies these.
fn supplies(options: &[(OptionCode, Vec<u8>)]) -> Hop {
    Hop::first("2001:db8:1::1", 1).with(OptionCode::RSOO, &run(options))
}

fn run(options: &[(OptionCode, Vec<u8>)]) -> Vec<u8> {
    let each = options.iter().map(|(code, content)| {
        [&code.0.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
    });
    each.collect::<Vec<_>>().concat()
}

fn wants(kind: MessageType) -> Ask {
    let ask = Ask::new(kind, 1).oro(&[ERP, OptionCode::NTP_SERVER, OptionCode::DNS_SERVERS]);
    if kind == MessageType::INFORMATION_REQUEST { ask } else { ask.na(1, &[]) }
}

#[test]
fn a_client_that_asks_gets_what_its_agent_supplies() {
    let mut desk = desk();
    let agent = [supplies(&[(ERP, name(b"example"))])];
    for kind in
        [MessageType::SOLICIT, MessageType::REQUEST, MessageType::RENEW, MessageType::INFORMATION_REQUEST]
    {
        let heard = ask(&mut desk, &wants(kind), &agent).unwrap();
        assert_eq!(heard.option(ERP), Some(&name(b"example")[..]), "{kind:?}");
    }
    assert_eq!(desk.server.counters().supplied, 4);
    // Not asked for; not an answer that has configuration; nothing supplied.
    let silent = ask(&mut desk, &Ask::new(MessageType::SOLICIT, 1).na(1, &[]), &agent).unwrap();
    let release = ask(&mut desk, &wants(MessageType::RELEASE), &agent).unwrap();
    let none = ask(&mut desk, &wants(MessageType::SOLICIT), &[Hop::first("2001:db8:1::1", 1)]).unwrap();
    for heard in [silent, release, none] {
        assert_eq!(heard.option(ERP), None, "{heard:?}");
    }
}

#[test]
fn the_servers_own_word_comes_first_and_then_the_nearest_agents() {
    let mut desk = desk();
    let far = Hop::outer().with(OptionCode::RSOO, &run(&[(ERP, name(b"far"))]));
    let row = [supplies(&[(ERP, name(b"near"))]), far.clone()];
    let heard = ask(&mut desk, &wants(MessageType::SOLICIT), &row).unwrap();
    let erp = |heard: &Heard| heard.raw.iter().filter(|(code, _)| *code == ERP).cloned().collect::<Vec<_>>();
    assert_eq!(erp(&heard), [(ERP, name(b"near"))]);
    let row = [Hop::first("2001:db8:1::1", 1), far];
    assert_eq!(erp(&ask(&mut desk, &wants(MessageType::SOLICIT), &row).unwrap()), [(ERP, name(b"far"))]);
    let own = Given::new("erp-domain", &Value::from("own")).unwrap();
    let policy = Policy::new(OptionSet::new(vec![own]).unwrap(), Reservations::default());
    let mut actions = Actions::new();
    desk.server.set_policy(desk.now, policy, &mut actions);
    assert_eq!(erp(&ask(&mut desk, &wants(MessageType::SOLICIT), &row).unwrap()), [(ERP, name(b"own"))]);
}

#[test]
fn only_what_is_allowed_and_well_formed_is_taken() {
    let mut desk = desk();
    let address = vec![0x20; 16];
    let ntp = |last: u8| [&[0, 1, 0, 16][..], &[0x20; 15], &[last]].concat();
    let all = [
        (OptionCode::NTP_SERVER, ntp(1)),
        (OptionCode::NTP_SERVER, ntp(2)),
        (OptionCode::DNS_SERVERS, address),
        (OptionCode::IA_NA, vec![0; 12]),
        (OptionCode::SERVER_ID, vec![9; 10]),
        (OptionCode(65_000), vec![1]),
        (ERP, b"\x09cut".to_vec()),
    ];
    let agent = [supplies(&all)];
    let before = ask(&mut desk, &wants(MessageType::SOLICIT), &[Hop::first("2001:db8:1::1", 1)]).unwrap();
    assert_eq!(ask(&mut desk, &wants(MessageType::SOLICIT), &agent).unwrap(), before);
    assert_eq!(desk.server.counters().supplied_refused, 7);
    // Whatever somebody lists, what is not for hosts is not taken.
    let listed = [OptionCode::NTP_SERVER, OptionCode::IA_NA, OptionCode::SERVER_ID, OptionCode(65_000)];
    desk.server.set_relay_supplied(listed);
    let heard = ask(&mut desk, &wants(MessageType::SOLICIT), &agent).unwrap();
    let more: Vec<_> = heard.raw.iter().filter(|option| !before.raw.contains(option)).cloned().collect();
    assert_eq!(more, [(OptionCode::NTP_SERVER, ntp(1)), (OptionCode::NTP_SERVER, ntp(2))]);
    // What is no run of options is nothing; so is a clients' own.
    let mut broken = run(&all);
    broken.pop();
    let agent = [Hop::first("2001:db8:1::1", 1).with(OptionCode::RSOO, &broken)];
    assert_eq!(ask(&mut desk, &wants(MessageType::SOLICIT), &agent).unwrap(), before);
    let forged = wants(MessageType::SOLICIT).raw(OptionCode::RSOO, &run(&all));
    assert_eq!(ask(&mut desk, &forged, &[Hop::first("2001:db8:1::1", 1)]).unwrap(), before);
    // More than is taken: none of it, and an answer.
    let many = [supplies(&vec![(OptionCode::NTP_SERVER, ntp(1)); 100])];
    assert_eq!(ask(&mut desk, &wants(MessageType::SOLICIT), &many).unwrap(), before);
}
