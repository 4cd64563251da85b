//! Bindings (RFC 6146 section 3.1) and sessions (section 3.2) of all protocols.
//!
//! A binding lives as long as it has sessions. Sessions of one lifetime stand in one list in the order of
//! their last packet, so that what expires, and what gives way to others, is at its head.
//!
//! To keep that order exactly, each packet would write to three sessions that are in no cache. So a session
//! moves to the end only after a sixteenth of its lifetime has passed since it last did; in return it lives a
//! sixteenth longer than its last move tells. It never ends early.

use super::config::{Filtering, SessionConfig};
use super::ports::Ports;
use super::tcp::TcpState;
use crate::keyed::Key;
use crate::{Action, Discard};
use core::time::Duration;
use hashbrown::HashTable;
use std::net::{Ipv4Addr, Ipv6Addr};

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// Protocols with sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// ICMP and ICMPv6 echo; ports are identifiers.
    Icmp,
}

/// Sessions with the same lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Udp,
    Icmp,
    Established,
    Transitory,
}

/// The classes whose longest idle session gives way to a new one, in this order.
const GIVING_WAY: [Class; 3] = [Class::Transitory, Class::Icmp, Class::Udp];

#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    pub(super) inside: Ipv6Addr,
    pub(super) block: u32,
    pub(super) subscriber: u32,
    sessions: u32,
    /// The session that was begun last, or [`NONE`]: most bindings have no other, and it is found without a
    /// look into the table.
    recent: u32,
    pub(super) inside_port: u16,
    pub(super) outside_port: u16,
    pub(super) protocol: Protocol,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) binding: u32,
    pub(super) remote: Ipv4Addr,
    /// When it last moved to the end of its list, in seconds since the table's beginning.
    moved: u32,
    previous: u32,
    next: u32,
    pub(super) remote_port: u16,
    pub(super) protocol: Protocol,
    /// Of TCP only.
    pub(super) state: TcpState,
}

impl Session {
    pub(super) fn class(&self) -> Class {
        match self.protocol {
            Protocol::Udp => Class::Udp,
            Protocol::Icmp => Class::Icmp,
            Protocol::Tcp if self.state.is_long() => Class::Established,
            Protocol::Tcp => Class::Transitory,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// A remote address that the inside has sent to, for address-dependent filtering.
#[derive(Debug)]
struct Peer {
    binding: u32,
    address: Ipv4Addr,
    sessions: u32,
}

/// How long, in seconds, packets of a session may leave it at its place in the list. Never less than one
/// second: a second's packets move it once.
fn slack(lifetime: u64) -> u64 {
    (lifetime / 16).max(1)
}

/// Counts of sessions since the translator was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounters {
    /// Sessions that began.
    pub created: u64,
    /// Sessions that ended because nothing was sent for long.
    pub expired: u64,
    /// Sessions that ended early, to make room for others.
    pub evicted: u64,
    /// Probes sent to find out whether idle TCP connections still are (RFC 6146 section 3.5.2.2).
    pub probes: u64,
    /// Datagrams in fragments forgotten early, to make room for others.
    pub fragments_evicted: u64,
}

#[derive(Debug)]
pub(super) struct Table {
    key: Key,
    sessions: Vec<Session>,
    free_sessions: Vec<u32>,
    bindings: Vec<Binding>,
    free_bindings: Vec<u32>,
    by_inside: HashTable<u32>,
    by_remote: HashTable<u32>,
    /// `None` where filtering does not ask for it.
    peers: Option<HashTable<Peer>>,
    lists: [List; 4],
    /// Lifetimes in seconds, by class.
    lifetimes: [u64; 4],
    max_sessions: usize,
    max_of_subscriber: u32,
    pub(super) ports: Ports,
    pub(super) counters: SessionCounters,
}

impl Table {
    pub(super) fn new(config: &SessionConfig, key: Key) -> Self {
        let timeouts = &config.timeouts;
        Self {
            key,
            sessions: Vec::new(),
            free_sessions: Vec::new(),
            bindings: Vec::new(),
            free_bindings: Vec::new(),
            by_inside: HashTable::new(),
            by_remote: HashTable::new(),
            peers: (config.filtering == Filtering::AddressDependent).then(HashTable::new),
            lists: [List { head: NONE, tail: NONE }; 4],
            lifetimes: [timeouts.udp, timeouts.icmp, timeouts.tcp_established, timeouts.tcp_transitory]
                .map(|lifetime| lifetime.as_secs()),
            max_sessions: config.sessions as usize,
            max_of_subscriber: config.sessions_per_subscriber,
            ports: Ports::new(config, key),
            counters: SessionCounters::default(),
        }
    }

    pub(super) fn session(&self, index: u32) -> &Session {
        &self.sessions[index as usize]
    }

    pub(super) fn binding(&self, index: u32) -> &Binding {
        &self.bindings[index as usize]
    }

    /// How many sessions there are.
    pub(super) fn len(&self) -> usize {
        self.by_remote.len()
    }

    pub(super) fn bindings(&self) -> usize {
        self.by_inside.len()
    }

    /// Indices of all sessions, each class from the longest idle on.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.lists.iter().flat_map(move |list| {
            let some = |index: u32| (index != NONE).then_some(index);
            std::iter::successors(some(list.head), move |&index| some(self.session(index).next))
        })
    }

    pub(super) fn find_inside(&self, protocol: Protocol, address: Ipv6Addr, port: u16) -> Option<u32> {
        let same = |&index: &u32| {
            let binding = self.binding(index);
            binding.inside == address && binding.inside_port == port && binding.protocol == protocol
        };
        self.by_inside.find(self.key.inside(protocol as u8, address, port), same).copied()
    }

    pub(super) fn find_outside(&self, protocol: Protocol, address: Ipv4Addr, port: u16) -> Option<u32> {
        let index = self.ports.binding(protocol, address, port);
        (index != NONE).then_some(index)
    }

    pub(super) fn find_session(&self, binding: u32, remote: Ipv4Addr, port: u16) -> Option<u32> {
        let same = |&index: &u32| {
            let session = self.session(index);
            session.binding == binding && session.remote == remote && session.remote_port == port
        };
        let recent = self.binding(binding).recent;
        if recent != NONE && same(&recent) {
            return Some(recent);
        }
        self.by_remote.find(self.key.remote(binding, remote, port), same).copied()
    }

    /// Whether the inside has a session with any port of this address (only kept for address-dependent
    /// filtering).
    pub(super) fn has_peer(&self, binding: u32, address: Ipv4Addr) -> bool {
        let same = |peer: &Peer| peer.binding == binding && peer.address == address;
        let hash = self.key.remote(binding, address, 0);
        self.peers.as_ref().is_some_and(|peers| peers.find(hash, same).is_some())
    }

    /// Whether a subscriber may have one more session, and which one gives way to it.
    fn admit(&self, subscriber: Option<u32>, from_outside: bool) -> Result<Option<u32>, Discard> {
        let held = subscriber.map_or(0, |subscriber| self.ports.get(subscriber).sessions);
        // Strangers shall not use up what a subscriber needs for its own connections.
        let limit = if from_outside { self.max_of_subscriber / 2 } else { self.max_of_subscriber };
        if held >= limit {
            return Err(Discard::SubscriberSessions);
        }
        let full = if from_outside { self.max_sessions - self.max_sessions / 4 } else { self.max_sessions };
        if self.len() < full {
            return Ok(None);
        }
        // Only who has less than its share takes from others.
        let share = self.max_sessions / self.ports.subscribers().max(1);
        if from_outside || held as usize >= share.max(1) {
            return Err(Discard::Sessions);
        }
        let victim = GIVING_WAY.map(|class| self.lists[class as usize].head);
        victim.into_iter().find(|&head| head != NONE).map(Some).ok_or(Discard::Sessions)
    }

    /// A session for a packet from inside; its binding is made where there is none.
    pub(super) fn open_inside(
        &mut self,
        now: (Duration, u32),
        inside: (Protocol, Ipv6Addr, u16),
        remote: (Ipv4Addr, u16),
        state: TcpState,
        actions: &mut Vec<Action>,
    ) -> Result<u32, Discard> {
        let (protocol, address, port) = inside;
        let victim = self.admit(self.ports.subscriber(address), false)?;
        let binding = match self.find_inside(protocol, address, port) {
            Some(binding) => binding,
            None => self.open_binding(now.0, protocol, address, port, actions)?,
        };
        let session = self.insert(now.1, binding, remote, state);
        // After it is in: the victim may have been the last of the same binding.
        if let Some(victim) = victim {
            self.close(now.0, victim, actions);
            self.counters.evicted += 1;
        }
        Ok(session)
    }

    /// A session for a packet from outside, to a binding that is there.
    pub(super) fn open_outside(
        &mut self,
        now: u32,
        binding: u32,
        remote: (Ipv4Addr, u16),
        state: TcpState,
    ) -> Result<u32, Discard> {
        self.admit(Some(self.binding(binding).subscriber), true)?;
        Ok(self.insert(now, binding, remote, state))
    }

    fn open_binding(
        &mut self,
        now: Duration,
        protocol: Protocol,
        inside: Ipv6Addr,
        inside_port: u16,
        actions: &mut Vec<Action>,
    ) -> Result<u32, Discard> {
        let (subscriber, block, outside_port) =
            self.ports.allocate(now, protocol, inside, inside_port, actions)?;
        let binding = Binding {
            inside,
            block,
            subscriber,
            sessions: 0,
            recent: NONE,
            inside_port,
            outside_port,
            protocol,
        };
        let index = if let Some(index) = self.free_bindings.pop() {
            self.bindings[index as usize] = binding;
            index
        } else {
            self.bindings.push(binding);
            (self.bindings.len() - 1) as u32
        };
        self.ports.take(protocol, block, outside_port, index);
        let (key, bindings) = (self.key, &self.bindings);
        let hash = |index: u32| {
            let binding = &bindings[index as usize];
            key.inside(binding.protocol as u8, binding.inside, binding.inside_port)
        };
        self.by_inside.insert_unique(hash(index), index, |&index| hash(index));
        Ok(index)
    }

    fn insert(
        &mut self,
        now: u32,
        binding: u32,
        (remote, remote_port): (Ipv4Addr, u16),
        state: TcpState,
    ) -> u32 {
        let of = &mut self.bindings[binding as usize];
        of.sessions += 1;
        let protocol = of.protocol;
        self.ports.get_mut(of.subscriber).sessions += 1;
        let session =
            Session { binding, remote, moved: now, previous: NONE, next: NONE, remote_port, protocol, state };
        let index = if let Some(index) = self.free_sessions.pop() {
            self.sessions[index as usize] = session;
            index
        } else {
            self.sessions.push(session);
            (self.sessions.len() - 1) as u32
        };
        self.bindings[binding as usize].recent = index;
        self.link(index);
        let (key, sessions) = (self.key, &self.sessions);
        let hash = |index: u32| {
            let session = &sessions[index as usize];
            key.remote(session.binding, session.remote, session.remote_port)
        };
        self.by_remote.insert_unique(hash(index), index, |&index| hash(index));
        if let Some(peers) = &mut self.peers {
            let hash = key.remote(binding, remote, 0);
            let same = |peer: &Peer| peer.binding == binding && peer.address == remote;
            if let Some(peer) = peers.find_mut(hash, same) {
                peer.sessions += 1;
            } else {
                let peer = Peer { binding, address: remote, sessions: 1 };
                peers.insert_unique(hash, peer, |peer| key.remote(peer.binding, peer.address, 0));
            }
        }
        self.counters.created += 1;
        index
    }

    /// Ends a session, and its binding with the last one.
    pub(super) fn close(&mut self, now: Duration, index: u32, actions: &mut Vec<Action>) {
        self.unlink(index);
        let session = *self.session(index);
        let hash = self.key.remote(session.binding, session.remote, session.remote_port);
        if let Ok(entry) = self.by_remote.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
        if let Some(peers) = &mut self.peers {
            let hash = self.key.remote(session.binding, session.remote, 0);
            let same = |peer: &Peer| peer.binding == session.binding && peer.address == session.remote;
            if let Ok(mut entry) = peers.find_entry(hash, same) {
                entry.get_mut().sessions -= 1;
                if entry.get().sessions == 0 {
                    entry.remove();
                }
            }
        }
        self.free_sessions.push(index);
        let binding = &mut self.bindings[session.binding as usize];
        binding.sessions -= 1;
        if binding.recent == index {
            binding.recent = NONE;
        }
        let binding = *binding;
        self.ports.get_mut(binding.subscriber).sessions -= 1;
        if binding.sessions == 0 {
            let hash = self.key.inside(binding.protocol as u8, binding.inside, binding.inside_port);
            if let Ok(entry) = self.by_inside.find_entry(hash, |&other| other == session.binding) {
                entry.remove();
            }
            self.free_bindings.push(session.binding);
            self.ports.release(now, binding.protocol, binding.block, binding.outside_port, actions);
        }
    }

    /// A packet of the session was seen: a new state, and a new lifetime where `renew`.
    pub(super) fn touch(&mut self, now: u32, index: u32, state: TcpState, renew: bool) {
        let session = self.session(index);
        let old = session.class();
        let changed = Session { state, ..*session };
        let idle = u64::from(now.saturating_sub(session.moved));
        let stays = !renew || idle < slack(self.lifetimes[old as usize]);
        if changed.class() == old && stays {
            self.sessions[index as usize].state = state;
            return;
        }
        self.unlink(index);
        let session = &mut self.sessions[index as usize];
        session.state = state;
        if renew {
            session.moved = now;
        }
        self.link(index);
    }

    fn link(&mut self, index: u32) {
        let class = self.session(index).class() as usize;
        let tail = self.lists[class].tail;
        let session = &mut self.sessions[index as usize];
        (session.previous, session.next) = (tail, NONE);
        match tail {
            NONE => self.lists[class].head = index,
            tail => self.sessions[tail as usize].next = index,
        }
        self.lists[class].tail = index;
    }

    fn unlink(&mut self, index: u32) {
        let session = self.session(index);
        let (class, previous, next) = (session.class() as usize, session.previous, session.next);
        match previous {
            NONE => self.lists[class].head = next,
            previous => self.sessions[previous as usize].next = next,
        }
        match next {
            NONE => self.lists[class].tail = previous,
            next => self.sessions[next as usize].previous = previous,
        }
    }

    /// The second in which a session's lifetime is over.
    pub(super) fn due(&self, index: u32) -> u64 {
        let session = self.session(index);
        let lifetime = self.lifetimes[session.class() as usize];
        // One more: the second of its last packet had begun already.
        u64::from(session.moved) + lifetime + slack(lifetime) + 1
    }

    /// The session whose lifetime ends first, with its second.
    pub(super) fn first_due(&self) -> Option<(u32, u64)> {
        let heads = self.lists.iter().map(|list| list.head).filter(|&head| head != NONE);
        heads.map(|head| (head, self.due(head))).min_by_key(|&(_, due)| due)
    }
}
