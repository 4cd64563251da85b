//! Addresses that hosts made up themselves, or were given by hand, and tell the server of (RFC 9686).
//!
//! A registration is kept as a lease in the state [`LeaseState::Registered`]: durable before its reply leaves, in the
//! history of who had what, and in nobody's pool for as long as it holds. It gives its owner no right to anything.

use super::action::{Action, Actions, Datagram};
use super::asker::Asker;
use super::config::Link;
use super::relayed::Chain;
use super::{Discard, Server, add};
use crate::identity::Key;
use crate::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_wire::dhcpv6::{Builder, DhcpOption, Duid, Fqdn, IaAddress, Message, MessageType, OptionCode};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Longest time that a registration holds without being repeated. Clients repeat theirs every four hours at the latest,
/// give or take a tenth (RFC 9686 section 4.6), whatever lifetime their address has; so whoever registers what it does not
/// have blocks a place for a few hours and not for years.
const LONGEST: Duration = Duration::from_hours(8);
/// Octets of the longest reply: three options, one of which repeats what the client sent in one datagram.
const ROOM: usize = 16 * 1024;

/// An Addr-reg-inform that passed the checks of RFC 9686 section 4.2.1.
struct Inform<'a> {
    client: Duid,
    address: IaAddress<'a>,
    /// The IA Address option as it came, for the reply to repeat.
    octets: &'a [u8],
    hostname: Option<String>,
}

impl<'a> Inform<'a> {
    fn read(message: Message<'a>, source: Ipv6Addr) -> Result<Self, Discard> {
        let options = message.options();
        let client = options.get(OptionCode::CLIENT_ID).ok_or(Discard::NoClientId)?;
        let client = Duid::new(client).map_err(|_| Discard::Malformed)?;
        if options.get(OptionCode::SERVER_ID).is_some() {
            return Err(Discard::ServerId);
        }
        // One, readable or not: the reply repeats it. What it may hold beside the address no RFC says, so that nothing there
        // could be vouched for.
        let mut all = options.raw().filter(|(code, _)| *code == OptionCode::IA_ADDR);
        let (code, octets) = all.next().ok_or(Discard::Registration)?;
        let DhcpOption::IaAddress(address) = DhcpOption::decode(code, octets) else {
            return Err(Discard::Registration);
        };
        if all.next().is_some()
            || !address.options.as_bytes().is_empty()
            || options.get(OptionCode::ORO).is_some()
            || address.address != source
            || address.preferred > address.valid
        {
            return Err(Discard::Registration);
        }
        let mut fqdn = options.iter().filter_map(|option| match option {
            DhcpOption::ClientFqdn(name) => Some(name),
            _ => None,
        });
        let hostname =
            fqdn.next().filter(|fqdn| fqdn.flags & Fqdn::NO_UPDATE == 0).and_then(|fqdn| fqdn.name());
        Ok(Self { client, address, octets, hostname })
    }
}

impl Server {
    /// RFC 9686 section 4.2.1.
    pub(super) fn register(
        &mut self,
        datagram: &Datagram<'_>,
        chain: &Chain<'_>,
        asker: &Asker<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        let (now, link, message) = (asker.now, asker.link, asker.message);
        let inform = Inform::read(message, asker.peer)?;
        let resource = Resource::Address(inform.address.address);
        if !self.is_appropriate(link, &inform) {
            return Err(Discard::OffLink);
        }
        if self.is_reserved_for_another(asker, resource) {
            return Err(Discard::Reserved);
        }
        let held = self.table.get(resource);
        if held.as_ref().is_some_and(|lease| matches!(lease.state, LeaseState::Bound | LeaseState::Retired)) {
            return Err(Discard::Leased);
        }
        self.flight.held_up()?;
        if self.flight.is_about(resource) {
            return Err(Discard::Committing);
        }
        add(&mut self.counters.addr_reg_inform);
        let reply = chain.reply(datagram.link.into(), datagram, self.registered(message, &inform)?)?;
        let ticket = self.flight.ticket();
        if inform.address.valid == 0 {
            // Its owner has it no more (RFC 9686 section 4.6).
            if held.is_some_and(|lease| lease.state == LeaseState::Registered) {
                self.stage(ticket, LeaseChange::Remove(resource));
            }
        } else {
            match &held {
                Some(lease) if lease.state == LeaseState::Registered => {
                    let moved = lease.duid != inform.client;
                    self.counters.registrations_moved =
                        self.counters.registrations_moved.saturating_add(u64::from(moved));
                }
                // A declined address is in use by somebody: here is who.
                _ => {
                    add(&mut self.counters.registered);
                    self.make_room(&inform.client, ticket);
                }
            }
            let lifetime = |seconds: u32| Duration::from_secs(seconds.into()).min(LONGEST);
            let granted_at = held
                .filter(|lease| lease.state == LeaseState::Registered && lease.duid == inform.client)
                .map_or(now, |lease| lease.granted_at);
            let lease = Lease {
                resource,
                key: Key::Duid,
                duid: inform.client,
                iaid: 0,
                link: link.name.clone(),
                state: LeaseState::Registered,
                preferred_until: now.saturating_add(lifetime(inform.address.preferred)),
                valid_until: now.saturating_add(lifetime(inform.address.valid)),
                granted_at,
                renewed_at: now,
                hostname: inform.hostname,
                link_layer: asker.link_layer(),
                peer: asker.peer,
                line: asker.line.clone(),
                relay: asker.relay.clone(),
            };
            self.stage(ticket, LeaseChange::Put(lease));
        }
        let changes = self.flight.changes(ticket);
        if changes.is_empty() {
            add(&mut self.counters.reply);
            actions.push(Action::Reply(reply));
        } else {
            self.flight.hold(ticket, reply);
            actions.push(Action::Commit { ticket, changes });
        }
        Ok(())
    }

    /// Whether the address can be one of the link's, or of a prefix that is the client's (RFC 9686 section 4.2.1).
    fn is_appropriate(&self, link: &Link, inform: &Inform<'_>) -> bool {
        let address = inform.address.address;
        let on_link = link.prefixes.iter().any(|prefix| prefix.contains(&address));
        let delegated = |lease: &Lease| {
            lease.duid == inform.client
                && lease.state == LeaseState::Bound
                && matches!(lease.resource, Resource::Prefix(_))
        };
        !link.reserved.contains(&address)
            && (on_link || self.table.overlaps(address.into()).any(|lease| delegated(&lease)))
    }

    /// Makes room for one more registration of a client: of its own, or else of all, the one that ends first goes.
    fn make_room(&mut self, client: &Duid, ticket: u64) {
        let ends = |resource: &Resource| self.table.get(*resource).map(|lease| lease.valid_until);
        let own: Vec<Resource> = self.table.registered_by(client).collect();
        let victim = if own.len() >= self.limits.registrations_per_client.max(1) {
            own.into_iter().min_by_key(ends)
        } else if self.table.registered() >= self.limits.registrations.max(1) {
            self.table.first_in(LeaseState::Registered)
        } else {
            None
        };
        // One whose own change is under way is left alone: the cap is exceeded by as many as there are commits.
        if let Some(victim) = victim.filter(|victim| !self.flight.is_about(*victim)) {
            add(&mut self.counters.registrations_evicted);
            self.stage(ticket, LeaseChange::Remove(victim));
        }
    }

    /// The Addr-reg-reply (RFC 9686 section 4.3).
    fn registered(&self, message: Message<'_>, inform: &Inform<'_>) -> Result<Vec<u8>, Discard> {
        let mut room = vec![0; ROOM];
        let mut b = Builder::message(&mut room, MessageType::ADDR_REG_REPLY, message.transaction());
        b.client_id(&inform.client).server_id(&self.duid).option(OptionCode::IA_ADDR, inform.octets);
        b.finish().map(<[u8]>::to_vec).map_err(|_| Discard::TooLong)
    }
}
