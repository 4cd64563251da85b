//! DNS UPDATE: what comes back from a server, or from whoever pretends to be it; key files; and what the disk gives back.

use sixgate_dns::update::{Action, Identity, Key, UpdateConfig, Updater};
use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_795_000_000);
/// Octets of each answer.
const ANSWER: usize = 160;
const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Octets of answers, one after the other, given the ID of what is under way. Nobody without the key gets anything believed; and
/// without a key, whatever is answered, no more is under way or kept than there are addresses.
pub fn update(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        black_box(Key::parse(text).is_ok());
    }
    let key = Key::new("ddns.example".parse().expect("a name"), b"a secret that nobody knows");
    for key in [None, Some(key)] {
        let signed = key.is_some();
        let config = UpdateConfig {
            zone: "example.org".parse().expect("a name"),
            reverse: vec!["2001:db8::/32".parse().expect("a prefix")],
            ttl: 600,
            key,
            most: 2,
        };
        let mut updater = Updater::new(config, fastrand::Rng::with_seed(7));
        updater.restore(NOW, ADDRESS, bytes);
        updater.want(NOW, ADDRESS, Some(("host", Identity::Duid(&[0, 3, 0, 1, 2]))));
        updater.want(NOW, OTHER, Some((&String::from_utf8_lossy(bytes), Identity::ClientId(bytes))));
        let mut now = NOW;
        let mut actions = Vec::new();
        updater.handle_timeout(now, now.as_secs(), &mut actions);
        for answer in bytes.chunks(ANSWER) {
            let under_way = actions.iter().rev().find_map(|action| match action {
                Action::Send(message) => message.first_chunk::<2>().copied(),
                Action::Record(..) => None,
            });
            actions.clear();
            let mut answer = answer.to_vec();
            if let Some((id, there)) = under_way.zip(answer.first_chunk_mut::<2>()) {
                *there = id;
            }
            updater.handle(now, now.as_secs(), &answer, &mut actions);
            assert!(!signed || actions.is_empty(), "only the server is believed");
            // Two addresses, each with one update under way and one record to keep.
            assert!(actions.len() <= 8, "{actions:?}");
            let (settled, pending) = updater.settled_and_pending();
            assert!(settled + pending <= 2);
            if let Some(due) = updater.poll_timeout() {
                now = now.max(due);
                updater.handle_timeout(now, now.as_secs(), &mut actions);
            }
        }
    }
}
