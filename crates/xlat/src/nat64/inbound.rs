//! From IPv4 to IPv6: what comes in needs a binding, and may need more.

use super::config::Filtering;
use super::fragments::{Addresses, Datagram, Id};
use super::table::Protocol;
use super::tcp::{self, Segment, Side, TcpState};
use super::{Done, HeldSyn, MAX_HELD_SYNS, Nat64, remote_port};
use crate::address::synthesise;
use crate::header::{V4, protocol};
use crate::packet::{Action, Packet, Verdict};
use crate::translate::{Plan, Rewrite, to_v6};
use crate::{Discard, icmp};
use core::time::Duration;
use std::net::Ipv6Addr;

/// Where a packet goes.
enum Way {
    /// To the host of this binding.
    Binding(u32),
    /// It is a SYN that waits for another.
    Hold(u32),
}

impl Nat64 {
    pub(super) fn inbound(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Vec<Action>,
    ) -> Done {
        let header = V4::parse(packet.bytes())?;
        packet.truncate(header.total);
        if !self.table.ports.has(header.destination) {
            return Err(Discard::Destination.into());
        }
        let plan = self.engine.check_v4(packet.bytes(), &header, packet.offload())?;
        let protocol = match header.protocol {
            protocol::UDP => Protocol::Udp,
            protocol::TCP => Protocol::Tcp,
            protocol::ICMP => Protocol::Icmp,
            _ => return Err(Discard::Protocol.into()),
        };
        let source = synthesise(self.config.prefix, header.source).ok_or(Discard::Address)?;
        if plan == Plan::Error {
            return self.inbound_error(packet, &header, source, actions);
        }
        let id = Id::V4(Datagram {
            source: header.source,
            destination: header.destination,
            identification: header.identification.into(),
            protocol: header.protocol,
        });
        let to = if header.offset == 0 {
            let transport = packet.bytes().get(header.header..).unwrap_or_default();
            let (from, to) = to_v6::ports(transport, &header)?.ok_or(Discard::Tiny)?;
            let remote = (header.source, remote_port(protocol, from));
            match self.find_inbound(packet.bytes(), &header, protocol, to, remote)? {
                Way::Binding(binding) => {
                    let binding = self.table.binding(binding);
                    Rewrite {
                        source,
                        destination: binding.inside,
                        source_port: None,
                        destination_port: Some(binding.inside_port),
                    }
                }
                Way::Hold(binding) => {
                    let deadline = now.saturating_add(self.config.timeouts.tcp_incoming_syn);
                    let packet = packet.bytes().to_vec();
                    self.held.push_back(HeldSyn { deadline, binding, remote, packet });
                    return Ok(Verdict::Held);
                }
            }
        } else {
            let Some(Addresses::V6(source, destination)) = self.fragments.addresses(&id) else {
                let evicted = &mut self.table.counters.fragments_evicted;
                let held = self.fragments.hold(now, id, packet.bytes(), evicted);
                return if held { Ok(Verdict::Held) } else { Err(Discard::Fragments.into()) };
            };
            Rewrite::addresses(source, destination)
        };
        let verdict = self.engine.rewrite_v4(packet, &header, plan, &to, actions);
        if header.is_fragment() && header.offset == 0 {
            let addresses = Addresses::V6(to.source, to.destination);
            let evicted = &mut self.table.counters.fragments_evicted;
            for waited in self.fragments.learn(now, id, addresses, evicted) {
                let _ = self.route_copy(now, &waited, actions);
            }
        }
        Ok(verdict)
    }

    /// The binding of a packet, and whether it may pass (RFC 6146 sections 3.5.1.2, 3.5.2.2 and 3.5.3).
    fn find_inbound(
        &mut self,
        packet: &[u8],
        header: &V4,
        protocol: Protocol,
        port: u16,
        remote: (std::net::Ipv4Addr, u16),
    ) -> Result<Way, Discard> {
        let transport = packet.get(header.header..).unwrap_or_default();
        let segment = Segment::of(transport.get(13).copied().unwrap_or(0));
        let binding =
            self.table.find_outside(protocol, header.destination, port).ok_or(Discard::NoBinding)?;
        if let Some(session) = self.table.find_session(binding, remote.0, remote.1) {
            let state = self.table.session(session).state;
            let (state, renew) = match protocol {
                Protocol::Tcp => tcp::next(state, Side::V4, segment),
                _ => (state, true),
            };
            self.table.touch(self.second, session, state, renew);
            return Ok(Way::Binding(binding));
        }
        let allowed =
            self.config.filtering == Filtering::EndpointIndependent || self.table.has_peer(binding, remote.0);
        match (protocol, segment) {
            (Protocol::Tcp, Segment::Syn) if !allowed => {
                let known = |held: &HeldSyn| held.binding == binding && held.remote == remote;
                if self.held.len() >= MAX_HELD_SYNS || self.held.iter().any(known) {
                    return Err(Discard::Filtered);
                }
                return Ok(Way::Hold(binding));
            }
            _ if !allowed => return Err(Discard::Filtered),
            // In state CLOSED: translated where there is a binding, but no session begins.
            (Protocol::Tcp, Segment::Fin | Segment::Rst | Segment::Other) => {
                return Ok(Way::Binding(binding));
            }
            // An answer to what was never asked.
            (Protocol::Icmp, _) if transport.first() != Some(&icmp::v4::ECHO_REQUEST) => {
                return Err(Discard::NoSession);
            }
            _ => {}
        }
        self.table.open_outside(self.second, binding, remote, TcpState::V4Init)?;
        Ok(Way::Binding(binding))
    }

    /// An ICMPv4 error about a packet that went out through a session.
    fn inbound_error(
        &mut self,
        packet: &Packet<'_>,
        header: &V4,
        source: Ipv6Addr,
        actions: &mut Vec<Action>,
    ) -> Done {
        let quote = self.engine.quote_v4(packet.bytes(), header)?;
        let protocol = match quote.inner.protocol {
            protocol::UDP => Protocol::Udp,
            protocol::TCP => Protocol::Tcp,
            protocol::ICMP => Protocol::Icmp,
            _ => return Err(Discard::NoSession.into()),
        };
        let (from, to) = quote.ports.ok_or(Discard::NoSession)?;
        if quote.inner.source != header.destination {
            return Err(Discard::NoSession.into());
        }
        let binding =
            self.table.find_outside(protocol, quote.inner.source, from).ok_or(Discard::NoSession)?;
        self.table
            .find_session(binding, quote.inner.destination, remote_port(protocol, to))
            .ok_or(Discard::NoSession)?;
        let binding = self.table.binding(binding);
        let peer = synthesise(self.config.prefix, quote.inner.destination).ok_or(Discard::NoSession)?;
        let inner = Rewrite {
            source: binding.inside,
            destination: peer,
            source_port: Some(binding.inside_port),
            destination_port: None,
        };
        let error = self.engine.error_v4(packet.bytes(), header, &quote, (source, binding.inside), &inner);
        actions.push(Action::Send(error));
        Ok(Verdict::Replaced)
    }
}
