//! The stateful translator (RFC 6146): many IPv6 hosts share a few IPv4 addresses.
//!
//! `outbound` is the way from IPv6 to IPv4, which makes bindings; `inbound` the way back. `table` holds
//! bindings and sessions, `ports` knows whose ports are whose, `tcp` is the state machine, `fragments` what
//! is known of datagrams in pieces.

mod config;
mod fragments;
mod inbound;
mod outbound;
mod ports;
mod table;
mod tcp;

pub use config::{Filtering, SessionConfig, SessionConfigError, Timeouts};
pub use table::{Protocol, SessionCounters};
pub use tcp::TcpState;

use crate::address::synthesise;
use crate::checksum::Sum;
use crate::header::{V6, protocol, put_u16};
use crate::keyed::Key;
use crate::packet::{Action, HEADROOM, Packet, Verdict};
use crate::translate::{Config, Engine, Refusal, error_v4};
use crate::{Counters, Discard, icmp};
use core::time::Duration;
use fragments::Fragments;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use table::Table;

/// SYNs from IPv4 that wait for one from IPv6 (RFC 6146 section 3.5.2.2).
const MAX_HELD_SYNS: usize = 64;

/// A stateful translator. Packets of both families go into [`Nat64::translate`].
#[derive(Debug)]
pub struct Nat64 {
    engine: Engine,
    config: SessionConfig,
    table: Table,
    fragments: Fragments,
    /// In the order of their deadlines.
    held: VecDeque<HeldSyn>,
    /// When the first packet came, and whole seconds since, as the table counts.
    begin: Option<Duration>,
    second: u32,
}

/// A SYN from a stranger. If the inside sends one to him within some seconds, both open the connection at
/// once; otherwise he is told.
#[derive(Debug)]
struct HeldSyn {
    deadline: Duration,
    binding: u32,
    remote: (Ipv4Addr, u16),
    packet: Vec<u8>,
}

/// A session, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// Its protocol.
    pub protocol: Protocol,
    /// The IPv6 host inside, with its port or identifier.
    pub inside: (Ipv6Addr, u16),
    /// What IPv4 sees of it.
    pub outside: SocketAddrV4,
    /// Its peer; port 0 for ICMP.
    pub remote: SocketAddrV4,
    /// The state of a TCP connection.
    pub tcp: Option<TcpState>,
    /// When it ends, if nothing is sent.
    pub until: Duration,
}

/// How full the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Sessions.
    pub sessions: usize,
    /// Bindings: ports in use.
    pub bindings: usize,
    /// Subscribers with ports.
    pub subscribers: usize,
    /// Blocks of ports that are somebody's.
    pub blocks: u32,
    /// Octets of fragments that wait for their first one.
    pub fragment_octets: usize,
    /// SYNs that wait for another.
    pub held_syns: usize,
}

/// Where a packet is cut off, and what it needs, is known only after a look into the tables.
type Done = Result<Verdict, Refusal>;

impl Nat64 {
    /// A translator without sessions. `random` has to be seeded with what nobody can guess: it chooses ports,
    /// and the key of hashes.
    ///
    /// # Errors Where limits cannot be.
    pub fn new(
        config: Config,
        sessions: SessionConfig,
        mut random: fastrand::Rng,
    ) -> Result<Self, SessionConfigError> {
        sessions.check()?;
        let fragments =
            Fragments::new(sessions.fragmented, sessions.fragment_octets, sessions.timeouts.fragment);
        Ok(Self {
            engine: Engine::new(config, &mut random),
            table: Table::new(&sessions, Key::new(&mut random)),
            fragments,
            held: VecDeque::new(),
            begin: None,
            second: 0,
            config: sessions,
        })
    }

    /// Counts of packets.
    pub fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    /// Counts of sessions.
    pub fn session_counters(&self) -> SessionCounters {
        self.table.counters
    }

    /// How full the tables are.
    pub fn usage(&self) -> Usage {
        Usage {
            sessions: self.table.len(),
            bindings: self.table.bindings(),
            subscribers: self.table.ports.subscribers(),
            blocks: self.table.ports.blocks_used,
            fragment_octets: self.fragments.octets(),
            held_syns: self.held.len(),
        }
    }

    /// All sessions, those of one kind from the longest idle on.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.table.all().map(|index| {
            let session = self.table.session(index);
            let binding = self.table.binding(session.binding);
            SessionView {
                protocol: binding.protocol,
                inside: (binding.inside, binding.inside_port),
                outside: SocketAddrV4::new(self.table.ports.address(binding.block), binding.outside_port),
                remote: SocketAddrV4::new(session.remote, session.remote_port),
                tcp: (binding.protocol == Protocol::Tcp).then_some(session.state),
                until: self.time(self.table.due(index)),
            }
        })
    }

    /// Translates a packet of either family in place.
    pub fn translate(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Vec<Action>,
    ) -> Verdict {
        self.handle_timeout(now, actions);
        self.route(now, packet, actions)
    }

    fn route(&mut self, now: Duration, packet: &mut Packet<'_>, actions: &mut Vec<Action>) -> Verdict {
        let result = match packet.bytes().first().map(|octet| octet >> 4) {
            Some(4) => self.inbound(now, packet, actions),
            Some(6) => self.outbound(now, packet, actions),
            _ => Err(Discard::Malformed.into()),
        };
        self.engine.verdict(now, result, packet.bytes(), actions)
    }

    /// The same for a packet that was kept here: what is to be sent goes to the actions.
    fn route_copy(&mut self, now: Duration, octets: &[u8], actions: &mut Vec<Action>) -> Verdict {
        let mut buffer = [&[0; HEADROOM], octets].concat();
        let end = buffer.len();
        let Ok(mut packet) = Packet::new(&mut buffer, HEADROOM..end) else {
            return Verdict::Discarded(Discard::Malformed);
        };
        let verdict = self.route(now, &mut packet, actions);
        if verdict != Verdict::Translated {
            return verdict;
        }
        actions.push(Action::Send(packet.bytes().to_vec()));
        Verdict::Replaced
    }

    /// When [`Nat64::handle_timeout`] has to be called next; `None` where nothing waits.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let session = self.table.first_due().map(|(_, due)| self.time(due));
        let held = self.held.front().map(|held| held.deadline);
        [session, held, self.fragments.first_due()].into_iter().flatten().min()
    }

    fn time(&self, second: u64) -> Duration {
        self.begin.unwrap_or_default().saturating_add(Duration::from_secs(second))
    }

    /// Ends what is over. [`Nat64::translate`] does it too.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let mut begin = *self.begin.get_or_insert(now);
        if self.table.len() == 0 {
            // Begun anew whenever nothing is left, by whole seconds, they never run out.
            let seconds = now.saturating_sub(begin).as_secs();
            begin = begin.saturating_add(Duration::from_secs(seconds));
            (self.begin, self.second) = (Some(begin), 0);
        }
        let second = u32::try_from(now.saturating_sub(begin).as_secs()).unwrap_or(u32::MAX);
        if second > self.second {
            self.second = second;
            while let Some((index, due)) = self.table.first_due() {
                if due > u64::from(second) {
                    break;
                }
                self.expire(now, index, actions);
            }
        }
        self.fragments.expire(now);
        while self.held.front().is_some_and(|held| held.deadline <= now) {
            let Some(held) = self.held.pop_front() else { break };
            let (kind, code) = (icmp::v4::UNREACHABLE, 3);
            let error = error_v4(self.engine.config.address_v4, kind, code, 0, &held.packet);
            self.engine.send_error(now, error, actions);
        }
    }

    /// The lifetime of a session is over (RFC 6146 section 3.5.2.2): an established TCP connection is probed
    /// first.
    fn expire(&mut self, now: Duration, index: u32, actions: &mut Vec<Action>) {
        let session = *self.table.session(index);
        if session.protocol != Protocol::Tcp || session.state != TcpState::Established {
            self.table.close(now, index, actions);
            self.table.counters.expired += 1;
            return;
        }
        self.table.touch(self.second, index, TcpState::Transitory, true);
        let binding = self.table.binding(session.binding);
        if let Some(source) = synthesise(self.config.prefix, session.remote) {
            let ports = (session.remote_port, binding.inside_port);
            actions.push(Action::Send(probe(source, binding.inside, ports)));
            self.table.counters.probes += 1;
        }
    }
}

/// A TCP segment without data, ACK alone set, numbers zero (RFC 6146 section 3.5.2.2).
fn probe(source: Ipv6Addr, destination: Ipv6Addr, ports: (u16, u16)) -> Vec<u8> {
    let header = V6 {
        header: V6::LENGTH,
        total: V6::LENGTH + 20,
        class: 0,
        hop_limit: 64,
        protocol: protocol::TCP,
        fragment: None,
        source,
        destination,
        segments_left: None,
    };
    let mut segment = [0; 20];
    put_u16(&mut segment, 0, ports.0);
    put_u16(&mut segment, 2, ports.1);
    // Five words of header; ACK.
    put_u16(&mut segment, 12, 0x5010);
    let sum = Sum::default().pseudo_v6(source, destination, 20, protocol::TCP).add(&segment);
    put_u16(&mut segment, 16, sum.checksum());
    [header.build(20, protocol::TCP).as_slice(), &segment].concat()
}

/// The port that stands for a peer in a session: ICMP has none.
fn remote_port(protocol: Protocol, port: u16) -> u16 {
    if protocol == Protocol::Icmp { 0 } else { port }
}
