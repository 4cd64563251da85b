//! TCP: opening from both sides, closing, lifetimes, probes.

use super::common::{ACK, FIN, Ip4, Ip6, RST, SYN, TCP, ip4, ip6, judge, tcp};
use super::{HOST, Lab, POOL, SERVER, SERVER6, STRANGER, sessions};
use sixgate_xlat::{Action, Discard, Filtering, SessionConfig, TcpState, Verdict};
use std::time::Duration;

struct Connection {
    lab: Lab,
    port: u16,
}

impl Connection {
    /// A connection that IPv6 has begun.
    fn new() -> Self {
        let mut lab = Lab::plain();
        let out = Ip4::parse(&lab.through(&ip6(HOST, SERVER6, TCP, tcp(5000, 80, SYN, 0)).sealed().octets()));
        let port = u16::from_be_bytes([out.body[0], out.body[1]]);
        Self { lab, port }
    }

    fn v6_sends(&mut self, flags: u8) {
        let packet = ip6(HOST, SERVER6, TCP, tcp(5000, 80, flags, 9)).sealed();
        self.lab.through(&packet.octets());
    }

    fn v4_sends(&mut self, flags: u8) {
        let packet = ip4(SERVER, POOL, TCP, tcp(80, self.port, flags, 9)).sealed();
        self.lab.through(&packet.octets());
    }

    fn state(&self) -> Option<TcpState> {
        self.lab.nat.sessions().next().and_then(|session| session.tcp)
    }

    fn left(&self) -> u64 {
        (self.lab.nat.sessions().next().unwrap().until - self.lab.now).as_secs()
    }
}

const LONG: u64 = 124 * 60 + 1;
const SHORT: u64 = 4 * 60 + 1;

#[test]
fn opened_and_closed() {
    let mut connection = Connection::new();
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::V6Init), SHORT));
    connection.v4_sends(SYN | ACK);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::Established), LONG));
    connection.v6_sends(ACK);
    connection.lab.wait(Duration::from_secs(100));
    connection.v4_sends(FIN | ACK);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::V4FinReceived), LONG - 100));
    connection.v6_sends(ACK);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::V4FinReceived), LONG));
    connection.v6_sends(FIN | ACK);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::BothFinReceived), SHORT));
    connection.lab.wait(Duration::from_secs(100));
    connection.v4_sends(ACK);
    assert_eq!(connection.left(), SHORT - 100, "nothing prolongs it");
    connection.lab.wait(Duration::from_secs(SHORT - 100));
    assert_eq!(connection.state(), None);
    assert_eq!(connection.lab.nat.session_counters().probes, 0);
}

#[test]
fn a_reset_may_be_a_lie() {
    let mut connection = Connection::new();
    connection.v4_sends(SYN | ACK);
    connection.v4_sends(RST);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::Transitory), SHORT));
    connection.v6_sends(ACK);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::Established), LONG));
    connection.v6_sends(RST);
    connection.lab.wait(Duration::from_secs(SHORT));
    assert_eq!(connection.state(), None);
}

#[test]
fn an_idle_connection_is_probed() {
    let mut connection = Connection::new();
    connection.v4_sends(SYN | ACK);
    let actions = connection.lab.wait(Duration::from_secs(LONG));
    let [Action::Send(probe)] = &actions[..] else { panic!("{actions:?}") };
    judge(probe);
    let probe = Ip6::parse(probe);
    assert_eq!((probe.source.to_string(), probe.destination.to_string()), (SERVER6.into(), HOST.into()));
    assert_eq!(probe.body[..4], [0, 80, 0x13, 0x88]);
    assert_eq!(probe.body[4..14], [0, 0, 0, 0, 0, 0, 0, 0, 0x50, ACK]);
    assert_eq!((connection.state(), connection.left()), (Some(TcpState::Transitory), SHORT));
    // The host answers: it lives.
    connection.v6_sends(ACK);
    assert_eq!(connection.state(), Some(TcpState::Established));
    connection.lab.wait(Duration::from_secs(LONG));
    assert!(
        connection.lab.wait(Duration::from_secs(SHORT)).iter().any(|action| matches!(action, Action::Log(_)))
    );
    assert_eq!(connection.state(), None);
    assert_eq!(connection.lab.nat.session_counters().probes, 2);
}

/// State CLOSED: without SYN no session begins, but what has a binding passes.
#[test]
fn without_syn() {
    let mut lab = Lab::plain();
    let packet = |flags| ip6(HOST, SERVER6, TCP, tcp(5000, 81, flags, 9)).sealed().octets();
    for flags in [ACK, FIN | ACK, RST, SYN | FIN, SYN | RST, 0] {
        assert_eq!(lab.refused(&packet(flags)), Discard::NoSession);
    }
    let mut connection = Connection::new();
    connection.lab.through(&packet(ACK));
    assert_eq!(connection.lab.nat.usage().sessions, 1);
    let stray = ip4(STRANGER, POOL, TCP, tcp(80, connection.port, ACK, 9)).sealed().octets();
    connection.lab.through(&stray);
    assert_eq!(connection.lab.nat.usage().sessions, 1);
}

#[test]
fn opened_by_ipv4() {
    let mut connection = Connection::new();
    let syn = ip4(STRANGER, POOL, TCP, tcp(99, connection.port, SYN, 0)).sealed().octets();
    let got = Ip6::parse(&connection.lab.through(&syn));
    assert_eq!(got.destination.to_string(), HOST);
    let state = |lab: &Lab| {
        lab.nat.sessions().find(|session| session.remote.port() == 99).and_then(|session| session.tcp)
    };
    assert_eq!(state(&connection.lab), Some(TcpState::V4Init));
    let answer = ip6(HOST, &got.source.to_string(), TCP, tcp(5000, 99, SYN | ACK, 0)).sealed().octets();
    connection.lab.through(&answer);
    assert_eq!(state(&connection.lab), Some(TcpState::Established));
}

/// RFC 6146 section 3.5.2.2: a SYN that filtering does not let pass waits for one from inside.
#[test]
fn opened_by_both_at_once() {
    let filtered = || Lab::new(SessionConfig { filtering: Filtering::AddressDependent, ..sessions() });
    let open = |lab: &mut Lab| {
        let out = Ip4::parse(&lab.through(&ip6(HOST, SERVER6, TCP, tcp(5000, 80, SYN, 0)).sealed().octets()));
        u16::from_be_bytes([out.body[0], out.body[1]])
    };
    let mut lab = filtered();
    let port = open(&mut lab);
    let syn = ip4(STRANGER, POOL, TCP, tcp(99, port, SYN, 0)).sealed().octets();
    assert_eq!(lab.run(&syn).verdict, Verdict::Held);
    assert_eq!(lab.refused(&syn), Discard::Filtered, "one of each is enough");
    let stray = ip4(STRANGER, POOL, TCP, tcp(98, port, ACK, 0)).sealed().octets();
    assert_eq!(lab.refused(&stray), Discard::Filtered);
    let stranger6 = super::prefix().synthesise(STRANGER.parse().unwrap()).to_string();
    lab.through(&ip6(HOST, &stranger6, TCP, tcp(5000, 99, SYN, 0)).sealed().octets());
    let session = lab.nat.sessions().find(|session| session.remote.port() == 99).unwrap();
    assert_eq!((session.tcp, lab.nat.usage().held_syns), (Some(TcpState::Established), 0));

    // Nobody inside wants it: after six seconds the stranger is told.
    let mut lab = filtered();
    let port = open(&mut lab);
    let syn = ip4(STRANGER, POOL, TCP, tcp(99, port, SYN, 0)).sealed().octets();
    assert_eq!(lab.run(&syn).verdict, Verdict::Held);
    assert!(lab.wait(Duration::from_millis(5999)).is_empty());
    assert_eq!(lab.nat.poll_timeout(), Some(lab.now + Duration::from_millis(1)));
    let actions = lab.wait(Duration::from_millis(1));
    let [Action::Send(error)] = &actions[..] else { panic!("{actions:?}") };
    judge(error);
    let error = Ip4::parse(error);
    assert_eq!((error.destination.to_string(), &error.body[..2]), (STRANGER.into(), &[3, 3][..]));
    assert_eq!(error.body[8..], syn);
    // So many, and no more.
    for from in 0..1000 {
        let _ = lab.run(&ip4(STRANGER, POOL, TCP, tcp(from, port, SYN, 0)).sealed().octets());
    }
    assert_eq!(lab.nat.usage().held_syns, 64);
}
