//! Which ports: parity, range, blocks and who had them.

use super::common::{UDP, ip6, udp};
use super::{HOST, Lab, NEIGHBOUR, OTHER, POOL, SERVER6, sessions};
use sixgate_xlat::{Discard, Event, SessionConfig, Verdict};
use std::collections::HashSet;
use std::time::Duration;

#[test]
fn parity_and_range_are_kept() {
    let mut lab = Lab::new(SessionConfig { ports: 1..=65_535, ..sessions() });
    for source in [53, 123, 500, 1023, 1024, 1025, 5000, 65_535] {
        let port = lab.udp_out(HOST, source, SERVER6, 9);
        assert_eq!(port & 1, source & 1, "{source}: parity");
        assert_eq!(port < 1024, source < 1024, "{source}: range");
        assert_ne!(port, 0);
    }
    // Without low ports to give, a low source port gets a high one.
    let mut lab = Lab::plain();
    assert!(lab.udp_out(HOST, 53, SERVER6, 9) >= 1024);
    assert_eq!(lab.nat.usage().blocks, 1);
}

#[test]
fn every_port_is_used_once_before_any_is_refused() {
    let config = SessionConfig { ports: 2000..=2999, block: 16, blocks_per_subscriber: 1000, ..sessions() };
    let mut lab = Lab::new(config);
    let mut ports = HashSet::new();
    for source in 10_000..11_000 {
        assert!(ports.insert(lab.udp_out(HOST, source, SERVER6, 9)));
    }
    assert!(ports.iter().all(|port| (2000..=2999).contains(port)));
    let outcome = lab.run(&ip6(OTHER, SERVER6, UDP, udp(1, 2, 3)).sealed().octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::Ports));
    // Another protocol has its own, within the blocks of its subscriber.
    let echo = ip6(HOST, SERVER6, 58, super::common::echo(128, 1, 0)).sealed().octets();
    lab.through(&echo);
    lab.wait(Duration::from_secs(1000));
    assert_eq!(lab.nat.usage(), sixgate_xlat::Usage::default());
    lab.udp_out(OTHER, 1, SERVER6, 9);
}

#[test]
fn ports_are_not_given_in_order() {
    let mut lab = Lab::plain();
    let ports: Vec<u16> = (0..100).map(|number| lab.udp_out(HOST, 5000 + number, SERVER6, 9)).collect();
    let in_order = ports.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) <= 2).count();
    assert!(in_order < 10, "{ports:?}");
}

#[test]
fn a_subscriber_has_so_many_blocks_and_the_log_says_whose_they_were() {
    let mut lab = Lab::new(SessionConfig { block: 64, blocks_per_subscriber: 2, ..sessions() });
    let mut log = Vec::new();
    let mut refused = 0;
    for source in 0..200 {
        let host = if source % 2 == 0 { HOST } else { NEIGHBOUR };
        let outcome = lab.run(&ip6(host, SERVER6, UDP, udp(5000 + source, 9, 3)).sealed().octets());
        log.extend(outcome.log);
        refused += u32::from(outcome.verdict == Verdict::Discarded(Discard::SubscriberPorts));
    }
    assert_eq!((refused, lab.nat.usage().blocks), (72, 2), "both hosts are one subscriber");
    lab.udp_out(OTHER, 1, SERVER6, 9);
    assert_eq!(log.len(), 2);
    let mut blocks = Vec::new();
    for event in &log {
        let Event::BlockAllocated { subscriber, address, ports, at } = event else { panic!("{event:?}") };
        assert_eq!((subscriber.to_string(), address.to_string()), ("2001:db8:1:1::/64".into(), POOL.into()));
        assert_eq!((ports.len(), *at), (64, lab.now));
        blocks.push(ports.clone());
    }
    for session in lab.nat.sessions().filter(|session| session.inside.0.to_string() != OTHER) {
        assert!(blocks.iter().any(|ports| ports.contains(&session.outside.port())));
    }
    let released = lab.wait(Duration::from_secs(320));
    let released = released
        .iter()
        .filter(|action| matches!(action, sixgate_xlat::Action::Log(Event::BlockReleased { .. })));
    assert_eq!(released.count(), 3);
}

#[test]
fn a_subscriber_may_be_any_prefix() {
    for (length, subscribers) in [(128, 3), (64, 2), (63, 2), (48, 2), (47, 1)] {
        let mut lab = Lab::new(SessionConfig { subscriber_length: length, ..sessions() });
        for host in ["2001:db8:8:1::a", "2001:db8:8:1::b", "2001:db8:9:1::a"] {
            lab.udp_out(host, 1, SERVER6, 9);
        }
        assert_eq!(lab.nat.usage().subscribers, subscribers, "{length}");
    }
}

/// Where blocks are hosts', one line of the log tells whose a port was, and limits are the subscriber's nevertheless.
#[test]
fn a_block_may_be_one_hosts_alone() {
    let config = SessionConfig { block: 16, holder_length: 128, blocks_per_subscriber: 4, ..sessions() };
    let mut lab = Lab::new(config);
    let mut log = Vec::new();
    let mut ports = [Vec::new(), Vec::new()];
    let mut refused = 0;
    for source in 0..80_u16 {
        let which = usize::from(source % 2);
        let host = [HOST, NEIGHBOUR][which];
        let outcome = lab.run(&ip6(host, SERVER6, UDP, udp(5000 + source, 9, 3)).sealed().octets());
        log.extend(outcome.log);
        refused += u32::from(outcome.verdict == Verdict::Discarded(Discard::SubscriberPorts));
    }
    assert_eq!((refused, lab.nat.usage().blocks, lab.nat.usage().subscribers), (16, 4, 1));
    for event in &log {
        let Event::BlockAllocated { subscriber, ports: block, .. } = event else { panic!("{event:?}") };
        let which = [HOST, NEIGHBOUR].iter().position(|host| subscriber.to_string() == format!("{host}/128"));
        ports[which.unwrap()].push(block.clone());
    }
    assert_eq!(ports.each_ref().map(Vec::len), [2, 2]);
    for session in lab.nat.sessions() {
        let which = usize::from(session.inside.0.to_string() == NEIGHBOUR);
        assert!(ports[which].iter().any(|block| block.contains(&session.outside.port())), "{session:?}");
    }
    let released = lab.wait(Duration::from_secs(320));
    let released = released.iter().filter(|action| {
        matches!(action, sixgate_xlat::Action::Log(Event::BlockReleased { subscriber, .. })
            if subscriber.prefix_len() == 128)
    });
    assert_eq!(released.count(), 4);
    // Who comes back is where it was first.
    let port = lab.udp_out(NEIGHBOUR, 5000, SERVER6, 9);
    assert!(ports[1][0].contains(&port), "{port} {ports:?}");
}

/// RFC 4787 REQ-2: one subscriber keeps one address, as long as it has ports.
#[test]
fn a_subscriber_stays_with_its_address() {
    let pool = ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map(|address| address.parse().unwrap());
    let config = SessionConfig {
        pool: pool.to_vec(),
        ports: 2000..=2511,
        block: 16,
        blocks_per_subscriber: 64,
        ..sessions()
    };
    let mut lab = Lab::new(config);
    let source = |lab: &mut Lab, host: &str, port| {
        let out = lab.through(&ip6(host, SERVER6, UDP, udp(port, 9, 3)).sealed().octets());
        super::common::Ip4::parse(&out).source
    };
    let first = source(&mut lab, HOST, 1);
    for port in 2..=512 {
        assert_eq!(source(&mut lab, HOST, port), first);
    }
    assert_ne!(source(&mut lab, HOST, 513), first, "rather another than none");
    let many: HashSet<_> = (0..30).map(|n| source(&mut lab, &format!("2001:db8:7:{n}::1"), 1)).collect();
    assert!(many.len() > 1, "others are spread");
}
