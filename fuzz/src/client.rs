//! The DHCPv6 client before a server that says anything.

use crate::cores::{START, Script, well_formed};
use sixgate_dhcp::client::{Action, Actions, Binding, Client, Config, PdRequest, State};
use sixgate_wire::dhcpv6::{Duid, Message};
use std::net::Ipv6Addr;
use std::time::Duration;

const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x54);
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);

fn config(how: u8) -> Config {
    Config {
        ia_na: (how & 1 == 0).then_some(1),
        ia_pd: if how & 2 == 0 { vec![PdRequest::with_length(7, 56)] } else { Vec::new() },
        rapid_commit: how & 4 != 0,
        reconfigure_accept: true,
        ..Config::new(Duid::link_layer([2, 0, 0, 0, 0, 1]))
    }
}

/// The client: messages with the transaction that it waits for and with any, time, a link that goes and comes, restarts
/// and every verb. What it sends is well-formed, what it holds is kept for a restart, and its clock never stands still.
pub fn client(bytes: &[u8]) {
    let Some((&how, rest)) = bytes.split_first() else { return };
    let mut client = Client::new(config(how), None, fastrand::Rng::with_seed(7));
    let mut saved: Option<Vec<u8>> = None;
    let mut transaction = [0; 3];
    let mut now = Duration::from_secs(START);
    let mut script = Script { rest };
    let mut actions = Actions::new();
    client.start(now, &mut actions);
    loop {
        assert!(actions.len() <= 16, "{} actions at once", actions.len());
        for action in actions.drain(..) {
            match action {
                Action::Send { bytes } => {
                    well_formed(&bytes);
                    transaction = Message::parse(&bytes).expect("a message").transaction().0;
                }
                Action::Save(binding) => {
                    let bytes = binding.to_bytes();
                    assert_eq!(Binding::from_bytes(&bytes).expect("what was written"), binding);
                    saved = Some(bytes);
                }
                Action::Lost => saved = None,
                Action::Changed(_) | Action::Released => {}
            }
        }
        if let Some(binding) = client.binding() {
            check(binding);
            if client.state() == State::Bound {
                assert_eq!(saved, Some(binding.to_bytes()), "it holds what it did not keep");
            }
        }
        let Some((what, how)) = script.event() else { return };
        match what % 5 {
            0 => {
                let mut bytes = script.content().to_vec();
                // A transaction is guessed once in 16 million times; the fuzzer shall get further than that.
                if let Some(field) = bytes.get_mut(1..4).filter(|_| how & 1 == 0) {
                    field.copy_from_slice(&transaction);
                }
                client.handle(now, (SERVER, CLIENT), &bytes, &mut actions);
            }
            1 => {
                now = client.poll_timeout().filter(|at| *at < Duration::MAX).map_or(now, |at| at.max(now));
                for turn in 0.. {
                    client.handle_timeout(now, &mut actions);
                    if client.poll_timeout().is_none_or(|at| at > now) {
                        break;
                    }
                    assert!(turn < 16, "it wants to be woken at once, for ever");
                }
            }
            2 => {
                now += Duration::from_secs(u64::from(how) * u64::from(how));
                client.handle_timeout(now, &mut actions);
            }
            3 => {
                let restored =
                    saved.as_ref().map(|bytes| Binding::from_bytes(bytes).expect("what was written"));
                client = Client::new(config(how), restored, fastrand::Rng::with_seed(u64::from(how)));
                // What is configured no more is left out.
                saved = client.binding().map(Binding::to_bytes);
                client.start(now, &mut actions);
            }
            _ => verb(&mut client, how, now, &mut actions),
        }
    }
}

fn verb(client: &mut Client, how: u8, now: Duration, actions: &mut Actions) {
    match how % 8 {
        0 => client.link_down(now, actions),
        1 => client.link_up(now, actions),
        2 => client.renew_now(now, actions),
        3 => client.release(now, actions),
        4 => client.stop(),
        5 => {
            let held =
                client.binding().map_or(Vec::new(), |b| b.addresses.iter().map(|a| a.address).collect());
            client.decline(now, &held, actions);
        }
        6 => client.set_prefix_hint(now, PdRequest::with_length(7, how / 2), actions),
        _ => client.start(now, actions),
    }
}

fn check(binding: &Binding) {
    assert!(binding.addresses.len() <= 64 && binding.prefixes.len() <= 64, "without bound");
    assert!(binding.t1 <= binding.t2, "T1 after T2");
    for address in &binding.addresses {
        assert!(address.preferred_until <= address.valid_until, "{}", address.address);
        assert!(!address.address.is_multicast() && !address.address.is_unspecified(), "{}", address.address);
    }
    for prefix in &binding.prefixes {
        assert!(prefix.preferred_until <= prefix.valid_until, "{}", prefix.prefix);
        assert!(
            prefix.excluded.is_none_or(|excluded| prefix.prefix.contains(&excluded)),
            "{}",
            prefix.prefix
        );
    }
}
