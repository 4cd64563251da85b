//! From IPv6 to IPv4: what the inside sends makes bindings and sessions.

use super::fragments::{Addresses, Datagram, Id};
use super::table::Protocol;
use super::tcp::{self, Segment, Side, TcpState};
use super::{Done, Nat64, remote_port};
use crate::address::{check_v4, extract};
use crate::header::{V6, protocol};
use crate::packet::{Action, HEADROOM, Packet, Verdict};
use crate::translate::{Plan, Rewrite, check_v6, start_of, to_v4};
use crate::{Discard, icmp};
use core::time::Duration;
use std::net::Ipv4Addr;

/// What a packet belongs to.
struct Found {
    binding: u32,
    /// A session that this very packet has begun.
    begun: Option<u32>,
}

impl Nat64 {
    pub(super) fn outbound(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Vec<Action>,
    ) -> Done {
        let header = V6::parse(packet.bytes())?;
        packet.truncate(header.total);
        let prefix = self.config.prefix;
        if prefix.extract(header.destination).is_none() {
            return Err(Discard::Destination.into());
        }
        // What comes from behind the prefix would be a loop (RFC 6146 section 3.5).
        if prefix.extract(header.source).is_some() {
            return Err(Discard::Martian.into());
        }
        let remote = extract(prefix, header.destination).ok_or(Discard::Address)?;
        check_v4(remote, remote)?;
        let hairpin = self.table.ports.has(remote);
        // Between two IPv6 nodes no IPv4 link limits its length.
        let mtu = if hairpin { u16::MAX } else { self.engine.config.mtu_v4 };
        let plan = check_v6(packet.bytes(), &header, packet.offload(), mtu.into())?;
        if hairpin && header.hop_limit <= 2 {
            return Err(Discard::HopLimit.into());
        }
        let protocol = match header.protocol {
            protocol::UDP => Protocol::Udp,
            protocol::TCP => Protocol::Tcp,
            protocol::ICMPV6 => Protocol::Icmp,
            _ => return Err(Discard::Protocol.into()),
        };
        if plan == Plan::Error {
            return self.outbound_error(now, packet, &header, (remote, hairpin), actions);
        }
        let id = Id::V6(Datagram {
            source: header.source,
            destination: header.destination,
            identification: header.fragment.map_or(0, |fragment| fragment.identification),
            protocol: header.protocol,
        });
        let original = if hairpin { start_of(packet.bytes()) } else { Vec::new() };
        let (to, begun) = if header.offset() == 0 {
            let found = self.find_outbound(now, packet.bytes(), &header, protocol, remote, actions)?;
            let binding = self.table.binding(found.binding);
            let to = Rewrite {
                source: self.table.ports.address(binding.block),
                destination: remote,
                source_port: Some(binding.outside_port),
                destination_port: None,
            };
            (to, found.begun)
        } else {
            let Some(Addresses::V4(source, destination)) = self.fragments.addresses(&id) else {
                let evicted = &mut self.table.counters.fragments_evicted;
                let held = self.fragments.hold(now, id, packet.bytes(), evicted);
                return if held { Ok(Verdict::Held) } else { Err(Discard::Fragments.into()) };
            };
            (Rewrite::addresses(source, destination), None)
        };
        let mut verdict = self.engine.rewrite_v6(packet, &header, plan, &to, actions);
        if hairpin {
            verdict = match self.inbound(now, packet, actions) {
                Ok(verdict) => verdict,
                Err(refusal) => {
                    // As if it had not been sent.
                    if let Some(begun) = begun {
                        self.table.close(now, begun, actions);
                    }
                    return Ok(self.engine.refuse(now, refusal.as_v6(), &original, actions));
                }
            };
            self.engine.counters.hairpinned += 1;
        }
        if header.is_fragment() && header.offset() == 0 {
            let addresses = Addresses::V4(to.source, to.destination);
            let evicted = &mut self.table.counters.fragments_evicted;
            for waited in self.fragments.learn(now, id, addresses, evicted) {
                let _ = self.route_copy(now, &waited, actions);
            }
        }
        Ok(verdict)
    }

    /// The binding of a packet, made where there is none (RFC 6146 sections 3.5.1.1, 3.5.2.2 and 3.5.3).
    fn find_outbound(
        &mut self,
        now: Duration,
        packet: &[u8],
        header: &V6,
        protocol: Protocol,
        remote: Ipv4Addr,
        actions: &mut Vec<Action>,
    ) -> Result<Found, Discard> {
        let transport = packet.get(header.header..).unwrap_or_default();
        let (port, to) = to_v4::ports(transport, header)?.ok_or(Discard::Tiny)?;
        // Of those who ask each other for what is not there, nothing shall be left, not even a line of log.
        if self.table.ports.has(remote) && self.table.find_outside(protocol, remote, to).is_none() {
            return Err(Discard::NoBinding);
        }
        let to = (remote, remote_port(protocol, to));
        let segment = Segment::of(transport.get(13).copied().unwrap_or(0));
        let binding = self.table.find_inside(protocol, header.source, port);
        let session = binding.and_then(|binding| self.table.find_session(binding, to.0, to.1));
        if let (Some(binding), Some(session)) = (binding, session) {
            let state = self.table.session(session).state;
            let (state, renew) = match protocol {
                Protocol::Tcp => tcp::next(state, Side::V6, segment),
                _ => (state, true),
            };
            self.table.touch(self.second, session, state, renew);
            return Ok(Found { binding, begun: None });
        }
        let mut met = None;
        match protocol {
            Protocol::Udp => {}
            Protocol::Tcp if segment == Segment::Syn => {
                // A SYN from there that waits: both open the connection at once.
                let same = |held: &super::HeldSyn| Some(held.binding) == binding && held.remote == to;
                met = self.held.iter().position(same);
            }
            // In state CLOSED: translated where there is a binding, but no session begins.
            Protocol::Tcp => {
                let binding = binding.ok_or(Discard::NoSession)?;
                return Ok(Found { binding, begun: None });
            }
            Protocol::Icmp if transport.first() == Some(&icmp::v6::ECHO_REQUEST) => {}
            Protocol::Icmp => return Err(Discard::NoSession),
        }
        let inside = (protocol, header.source, port);
        let state = if met.is_some() { TcpState::Established } else { TcpState::V6Init };
        let session = self.table.open_inside((now, self.second), inside, to, state, actions)?;
        if let Some(met) = met {
            self.held.remove(met);
        }
        Ok(Found { binding: self.table.session(session).binding, begun: Some(session) })
    }

    /// An ICMPv6 error about a packet that came in through a session.
    fn outbound_error(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        header: &V6,
        (remote, hairpin): (Ipv4Addr, bool),
        actions: &mut Vec<Action>,
    ) -> Done {
        let quote = self.engine.quote_v6(packet.bytes(), header)?;
        let protocol = match quote.inner.protocol {
            protocol::UDP => Protocol::Udp,
            protocol::TCP => Protocol::Tcp,
            protocol::ICMPV6 => Protocol::Icmp,
            _ => return Err(Discard::NoSession.into()),
        };
        let (from, to) = quote.ports.ok_or(Discard::NoSession)?;
        let peer = extract(self.config.prefix, quote.inner.source).ok_or(Discard::NoSession)?;
        let binding =
            self.table.find_inside(protocol, quote.inner.destination, to).ok_or(Discard::NoSession)?;
        self.table.find_session(binding, peer, remote_port(protocol, from)).ok_or(Discard::NoSession)?;
        let binding = self.table.binding(binding);
        let outside = self.table.ports.address(binding.block);
        let inner = Rewrite {
            source: peer,
            destination: outside,
            source_port: None,
            destination_port: Some(binding.outside_port),
        };
        let error = self.engine.error_v6(packet.bytes(), header, &quote, (outside, remote), &inner);
        if !hairpin {
            actions.push(Action::Send(error));
            return Ok(Verdict::Replaced);
        }
        let mut buffer = [&[0; HEADROOM], error.as_slice()].concat();
        let end = buffer.len();
        let Ok(mut again) = Packet::new(&mut buffer, HEADROOM..end) else {
            return Err(Discard::Malformed.into());
        };
        let verdict = self.inbound(now, &mut again, actions)?;
        self.engine.counters.hairpinned += 1;
        Ok(verdict)
    }
}
