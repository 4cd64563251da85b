//! Sessions under random events, beside a naive model: flat lists, searched from one end to the other.

use super::common::{ACK, FIN, Ip4, Ip6, RST, SYN, TCP, UDP, echo, ip4, ip6, tcp, udp};
use super::{Lab, POOL, prefix, sessions};
use sixgate_xlat::{Action, Filtering, Protocol, SessionConfig, TcpState, Verdict};
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    protocol: Protocol,
    inside: (Ipv6Addr, u16),
    remote: (Ipv4Addr, u16),
    state: TcpState,
    /// The second of its last packet.
    used: u64,
}

#[derive(Debug, Default)]
struct Model {
    sessions: Vec<Session>,
    /// The ports that our translator chose; the model only holds it to them.
    ports: HashMap<(Protocol, Ipv6Addr, u16), u16>,
}

impl Session {
    fn is_long(&self) -> bool {
        use TcpState::{Established, V4FinReceived, V6FinReceived};
        matches!(self.state, Established | V4FinReceived | V6FinReceived)
    }

    fn lifetime(&self) -> u64 {
        match self.protocol {
            Protocol::Udp => 300,
            Protocol::Icmp => 60,
            Protocol::Tcp if self.is_long() => 7440,
            Protocol::Tcp => 240,
        }
    }

    /// RFC 6146 section 3.5.2.2, as told there from state to state.
    fn tcp(&mut self, from_v6: bool, flags: u8, now: u64) {
        use TcpState::*;
        let rst = flags & RST != 0;
        let syn = flags & (SYN | FIN) == SYN && !rst;
        let fin = flags & (SYN | FIN) == FIN && !rst;
        let old = self.state;
        match old {
            V4Init if from_v6 && syn => self.state = Established,
            V6Init if !from_v6 && syn => self.state = Established,
            V6Init if syn => self.used = now,
            V4Init | V6Init | BothFinReceived => {}
            Established if fin => self.state = if from_v6 { V6FinReceived } else { V4FinReceived },
            Established if rst => self.state = Transitory,
            V4FinReceived if from_v6 && fin => self.state = BothFinReceived,
            V6FinReceived if !from_v6 && fin => self.state = BothFinReceived,
            Established | V4FinReceived | V6FinReceived => self.used = now,
            Transitory if rst => {}
            Transitory => self.state = Established,
        }
        if old != self.state && !(old == Established && fin) {
            self.used = now;
        }
    }
}

impl Model {
    fn expire(&mut self, now: u64) {
        // A probed connection may expire a second time on the way, as time leaps.
        self.sessions.retain_mut(|session| {
            if now <= session.used + session.lifetime() {
                return true;
            }
            if session.state == TcpState::Established && session.protocol == Protocol::Tcp {
                session.state = TcpState::Transitory;
                session.used = now;
                return true;
            }
            false
        });
        let live: HashSet<_> = self.sessions.iter().map(|s| (s.protocol, s.inside.0, s.inside.1)).collect();
        self.ports.retain(|key, _| live.contains(key));
    }

    fn find(
        &mut self,
        protocol: Protocol,
        inside: (Ipv6Addr, u16),
        remote: (Ipv4Addr, u16),
    ) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| {
            session.protocol == protocol && session.inside == inside && session.remote == remote
        })
    }
}

const FLAGS: [u8; 7] = [SYN, SYN | ACK, ACK, FIN | ACK, RST, SYN | FIN, RST | FIN];

fn play(seed: u64, filtering: Filtering) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lab = Lab::new(SessionConfig { filtering, ..sessions() });
    let begin = lab.now;
    lab.wait(Duration::ZERO);
    let mut model = Model::default();
    for _ in 0..1500 {
        let pause = match random.u8(..20) {
            0 => random.u64(..9_000_000),
            1..4 => random.u64(..200_000),
            _ => random.u64(..3000),
        };
        lab.now += Duration::from_millis(pause);
        let now = (lab.now - begin).as_secs();
        let before = model.sessions.iter().filter(|session| session.state == TcpState::Established).count();
        let actions = lab.wait(Duration::ZERO);
        model.expire(now);
        let to_v6 = |action: &Action| matches!(action, Action::Send(probe) if probe[0] >> 4 == 6);
        let probes = actions.iter().filter(|action| to_v6(action)).count();
        let left = model.sessions.iter().filter(|session| session.state == TcpState::Established).count();
        assert_eq!(probes, before - left, "each is probed once");
        let protocol = [Protocol::Udp, Protocol::Tcp, Protocol::Icmp][random.usize(..3)];
        let host = Ipv6Addr::new(0x2001, 0xdb8, 1, random.u16(..3), 0, 0, 0, random.u16(1..3));
        let (port, flags) = (random.u16(1000..1004), FLAGS[random.usize(..FLAGS.len())]);
        let remote = (Ipv4Addr::new(198, 51, 100, random.u8(1..4)), random.u16(1..4));
        let remote = if protocol == Protocol::Icmp { (remote.0, 0) } else { remote };
        let is_syn = flags & (SYN | FIN | RST) == SYN;
        if random.bool() {
            outbound(&mut lab, &mut model, now, (protocol, host, port), remote, (flags, is_syn));
        } else {
            inbound(&mut lab, &mut model, now, filtering, (protocol, host, port), remote, (flags, is_syn));
        }
        compare(&lab, &model, begin);
    }
}

fn outbound(
    lab: &mut Lab,
    model: &mut Model,
    now: u64,
    (protocol, host, port): (Protocol, Ipv6Addr, u16),
    remote: (Ipv4Addr, u16),
    (flags, is_syn): (u8, bool),
) {
    let (number, body) = match protocol {
        Protocol::Udp => (UDP, udp(port, remote.1, 5)),
        Protocol::Tcp => (TCP, tcp(port, remote.1, flags, 5)),
        Protocol::Icmp => (58, echo(128, port, 5)),
    };
    let to = prefix().synthesise(remote.0).to_string();
    let outcome = lab.run(&ip6(&host.to_string(), &to, number, body).sealed().octets());
    let key = (protocol, host, port);
    if let Some(session) = model.find(protocol, (host, port), remote) {
        match protocol {
            Protocol::Tcp => session.tcp(true, flags, now),
            _ => session.used = now,
        }
    } else if protocol != Protocol::Tcp || is_syn {
        // A SYN that was held for this one opens at once; the translator tells which.
        let met = lab.nat.sessions().any(|s| {
            s.inside == (host, port)
                && (*s.remote.ip(), s.remote.port()) == remote
                && s.tcp == Some(TcpState::Established)
        });
        let state = if met { TcpState::Established } else { TcpState::V6Init };
        model.sessions.push(Session { protocol, inside: (host, port), remote, state, used: now });
    } else if !model.ports.contains_key(&key) {
        assert!(matches!(outcome.verdict, Verdict::Discarded(_)));
        return;
    }
    assert_eq!(outcome.verdict, Verdict::Translated);
    let out = Ip4::parse(&outcome.sent[0]);
    super::judge(&outcome.sent[0]);
    let at = if protocol == Protocol::Icmp { 4 } else { 0 };
    let outside = u16::from_be_bytes([out.body[at], out.body[at + 1]]);
    let known = *model.ports.entry(key).or_insert(outside);
    assert_eq!(known, outside, "one port as long as the binding lives");
    let others = model.ports.iter().filter(|(other, at)| other.0 == protocol && **at == outside);
    assert_eq!(others.count(), 1, "of one only");
}

fn inbound(
    lab: &mut Lab,
    model: &mut Model,
    now: u64,
    filtering: Filtering,
    (protocol, host, port): (Protocol, Ipv6Addr, u16),
    remote: (Ipv4Addr, u16),
    (flags, is_syn): (u8, bool),
) {
    let outside = model.ports.get(&(protocol, host, port)).copied();
    let to = outside.unwrap_or(1023);
    let (number, body) = match protocol {
        Protocol::Udp => (UDP, udp(remote.1, to, 5)),
        Protocol::Tcp => (TCP, tcp(remote.1, to, flags, 5)),
        Protocol::Icmp => (1, echo(8, to, 5)),
    };
    let outcome = lab.run(&ip4(&remote.0.to_string(), POOL, number, body).sealed().octets());
    if outside.is_none() {
        assert!(matches!(outcome.verdict, Verdict::Discarded(_)));
        return;
    }
    let inside = (host, port);
    if let Some(session) = model.find(protocol, inside, remote) {
        match protocol {
            Protocol::Tcp => session.tcp(false, flags, now),
            _ => session.used = now,
        }
    } else {
        let peer =
            model.sessions.iter().any(|s| (s.protocol, s.inside, s.remote.0) == (protocol, inside, remote.0));
        if filtering == Filtering::AddressDependent && !peer {
            assert!(matches!(outcome.verdict, Verdict::Held | Verdict::Discarded(_)));
            return;
        }
        if protocol != Protocol::Tcp || is_syn {
            let state = TcpState::V4Init;
            model.sessions.push(Session { protocol, inside, remote, state, used: now });
        }
    }
    assert_eq!(outcome.verdict, Verdict::Translated);
    super::judge(&outcome.sent[0]);
    let got = Ip6::parse(&outcome.sent[0]);
    let at = if protocol == Protocol::Icmp { 4 } else { 2 };
    assert_eq!((got.destination, u16::from_be_bytes([got.body[at], got.body[at + 1]])), inside);
}

fn compare(lab: &Lab, model: &Model, begin: Duration) {
    let ours: HashSet<_> = lab
        .nat
        .sessions()
        .map(|s| {
            let remote = (*s.remote.ip(), s.remote.port());
            ((s.protocol, s.inside, remote), s.tcp, (s.until - begin).as_secs(), s.outside.port())
        })
        .collect();
    let theirs: HashSet<_> = model
        .sessions
        .iter()
        .map(|s| {
            let state = (s.protocol == Protocol::Tcp).then_some(s.state);
            let port = model.ports[&(s.protocol, s.inside.0, s.inside.1)];
            ((s.protocol, s.inside, s.remote), state, s.used + s.lifetime() + 1, port)
        })
        .collect();
    assert_eq!(ours, theirs);
    let usage = lab.nat.usage();
    assert_eq!((usage.sessions, usage.bindings), (model.sessions.len(), model.ports.len()));
}

#[test]
fn as_the_model_has_it() {
    for seed in 0..40 {
        play(seed, Filtering::EndpointIndependent);
        play(seed, Filtering::AddressDependent);
    }
}
