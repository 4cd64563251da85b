//! The server itself (RFC 2131 section 4.3).

use super::action::{Action, Actions, Datagram, Reply};
use super::config::{Limits, Link, ServerConfig};
use super::counters::{Counters, Discard};
use super::lease::{Lease, LeaseChange, LeaseTable};
use super::message::Asked;
use super::pilot::{Pilot, Place, Roster, Selector};
use super::reply::Answer;
use crate::balance::{Balance, Verdict};
use crate::flight::Flight;
use crate::lease::{LeaseState, LinkId};
use sixgate_wire::dhcpv4::{ClientId, Hardware, INFINITY, Message, MessageType, OptionCode};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// A DHCPv4 server for any number of links.
#[derive(Debug)]
pub struct Server {
    links: BTreeMap<LinkId, Arc<Link>>,
    pub(super) rapid_commit: bool,
    pub(super) authoritative: bool,
    pub(super) hash_key: [u8; 16],
    pub(super) limits: Limits,
    /// Where several servers share the clients, which are ours.
    balance: Option<Balance>,
    pub(super) pilot: Pilot,
    pub(super) roster: Roster,
    pub(super) table: LeaseTable,
    /// What was offered and not yet asked for, as leases that end with the offer.
    pub(super) offers: LeaseTable,
    pub(super) flight: Flight<LeaseTable, Reply>,
    pub(super) counters: Counters,
}

impl Server {
    /// A server that holds the leases of `snapshot`, every lease that was made durable and not removed since,
    /// and the pilot's `roster` as it was kept.
    pub fn new(config: ServerConfig, snapshot: Vec<Lease>, roster: Roster) -> Self {
        let mut server = Self {
            links: by_name(config.links),
            rapid_commit: config.rapid_commit,
            authoritative: config.authoritative,
            hash_key: config.hash_key,
            limits: config.limits,
            balance: None,
            pilot: config.pilot,
            roster,
            table: LeaseTable::new(),
            offers: LeaseTable::new(),
            flight: Flight::new(config.limits.commits),
            counters: Counters::default(),
        };
        for lease in snapshot {
            let held =
                lease.state == LeaseState::Bound && server.table.held(&lease.link, &lease.client).is_some();
            if held || server.table.get(lease.address).is_some() {
                server.counters.snapshot_conflicts = server.counters.snapshot_conflicts.saturating_add(1);
                // The disk has it still.
                server.flight.suspect(lease.address);
            } else {
                server.table.put(lease);
            }
        }
        server
    }

    /// Replaces the links. What lies outside of the new pools is not extended: at its next Request a client
    /// is told no, and asks for something new.
    pub fn set_links(&mut self, links: Vec<Link>) {
        self.links = by_name(links);
        self.offers = LeaseTable::new();
    }

    /// Replaces the pilot. Raising the percentage only adds clients. Another `only` list is another choice:
    /// the roster begins anew with those who ask from now on.
    pub fn set_pilot(&mut self, pilot: Pilot, actions: &mut Actions) {
        let mut changes = Vec::new();
        if pilot.only != self.pilot.only || pilot.key != self.pilot.key {
            self.roster.clear(&mut changes);
        }
        for selector in &pilot.except {
            self.roster.forget(place_of(&pilot, selector), &mut changes);
        }
        self.roster.set_percent(self.pilot.percent, pilot.percent, &mut changes);
        self.pilot = pilot;
        if !changes.is_empty() {
            actions.push(Action::Roster(changes));
        }
    }

    /// From now on only clients of these buckets are answered (RFC 3074); without a balance, all are.
    pub fn set_balance(&mut self, balance: Option<Balance>) {
        self.balance = balance;
    }

    /// A datagram came to port 67.
    pub fn handle(&mut self, now: Duration, datagram: &Datagram<'_>, actions: &mut Actions) {
        count(&mut self.counters.received);
        self.handle_timeout(now, actions);
        if let Err(reason) = self.answer(now, datagram, actions) {
            self.counters.discard(reason);
        }
    }

    /// Somebody else than a client of ours was seen using this address, as in its ARP: nobody gets it for a
    /// while. An address that is leased is left to its holder, who finds out by itself (RFC 5227).
    pub fn conflict(&mut self, now: Duration, address: Ipv4Addr, hardware: Hardware, actions: &mut Actions) {
        let Some(link) = self.links.values().find(|link| link.gives(address)).cloned() else { return };
        if self.table.get(address).is_some()
            || self.flight.is_about(address)
            || self.flight.held_up().is_err()
        {
            return;
        }
        let lease = Lease {
            address,
            client: ClientId::hardware(hardware),
            hardware,
            link: link.name.clone(),
            state: LeaseState::Declined,
            valid_until: now,
            granted_at: now,
            renewed_at: now,
            hostname: None,
        };
        let ticket = self.flight.ticket();
        self.quarantine(now, &link, lease, ticket);
        self.commit(ticket, actions);
    }

    /// Removes what has ended, and brings the disk back to what the server holds where a commit failed.
    /// Calling it early does no harm; there may be more to do at once.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        self.mend(now, actions);
        self.expire(now, actions);
    }

    /// All leases as they stand, those included whose commit is under way.
    pub fn leases(&self) -> &LeaseTable {
        &self.table
    }

    /// The clients that the pilot chooses from.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The pilot.
    pub fn pilot(&self) -> &Pilot {
        &self.pilot
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Drops a message of another server's client before anything else of it is looked at. A message that names its
    /// server is answered by that one, and a client that has an address of ours by us.
    fn is_balanced_here(&mut self, message: &Message<'_>) -> Result<(), Discard> {
        let Some(balance) = self.balance else { return Ok(()) };
        let (header, options) = (message.header(), message.options());
        let balanced =
            matches!(message.kind(), MessageType::DISCOVER | MessageType::REQUEST | MessageType::INFORM);
        let named = options.get(OptionCode::SERVER_ID).is_some();
        if !balanced || named || self.table.get(header.ciaddr).is_some() {
            return Ok(());
        }
        let sent = options.get(OptionCode::CLIENT_ID);
        let identity = sent.as_deref().unwrap_or_else(|| header.hardware.address());
        match balance.judge(identity, Duration::from_secs(header.secs.into())) {
            Verdict::Others => return Err(Discard::Bucket),
            Verdict::Late => count(&mut self.counters.late),
            Verdict::Ours => {}
        }
        Ok(())
    }

    fn answer(
        &mut self,
        now: Duration,
        datagram: &Datagram<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        let message = Message::parse(datagram.bytes).map_err(|_| Discard::Malformed)?;
        self.is_balanced_here(&message)?;
        let asked = Asked::read(&message)?;
        let link = self.link_of(datagram.link, asked.header.giaddr)?;
        let counter = match asked.kind {
            MessageType::DISCOVER => &mut self.counters.discover,
            MessageType::REQUEST => &mut self.counters.request,
            MessageType::DECLINE => &mut self.counters.decline,
            MessageType::RELEASE => &mut self.counters.release,
            MessageType::INFORM => &mut self.counters.inform,
            _ => return Err(Discard::Type),
        };
        count(counter);
        if asked.server.is_some_and(|server| server != link.server) {
            // It has chosen another server's offer.
            self.forget_offer(&link, &asked.client);
            return Err(Discard::OtherServer);
        }
        let ticket = self.flight.ticket();
        let answered = self.decide(now, &link, &asked, datagram.source, ticket, actions).and_then(|answer| {
            let Some(answer) = answer else { return Ok(None) };
            let reply = Reply {
                link: datagram.link.into(),
                source: link.server,
                destination: answer.destination(&asked, &link),
                bytes: answer.encode(&asked, &link)?,
            };
            Ok(Some((answer, reply)))
        });
        let answered = match answered {
            Ok(answered) => answered,
            Err(reason) => {
                // Nothing of it was given to anybody yet.
                self.flight.forget(ticket, &mut self.table, drop);
                return Err(reason);
            }
        };
        let changes = self.flight.changes(ticket);
        if let Some((answer, reply)) = answered {
            if answer.v6only.is_some() {
                count(&mut self.counters.told_v6only);
            }
            if changes.is_empty() {
                match answer.kind {
                    MessageType::OFFER => count(&mut self.counters.offer),
                    MessageType::NAK => count(&mut self.counters.nak),
                    _ => count(&mut self.counters.ack),
                }
                actions.push(Action::Reply(reply));
                return Ok(());
            }
            self.flight.hold(ticket, reply);
        }
        if !changes.is_empty() {
            actions.push(Action::Commit { ticket, changes });
        }
        Ok(())
    }

    /// The link that the client is on: the one that its message came in on, or that of its relay agent.
    fn link_of(&self, name: &str, giaddr: Ipv4Addr) -> Result<Arc<Link>, Discard> {
        if giaddr.is_unspecified() {
            return self.links.get(name).cloned().ok_or(Discard::Link);
        }
        // A stranger's giaddr would have us send to wherever it likes, and give away another link's
        // addresses.
        self.links.values().find(|link| link.relays.contains(&giaddr)).cloned().ok_or(Discard::Relayed)
    }

    fn decide(
        &mut self,
        now: Duration,
        link: &Arc<Link>,
        asked: &Asked,
        source: Ipv4Addr,
        ticket: u64,
        actions: &mut Actions,
    ) -> Result<Option<Answer>, Discard> {
        if asked.kind == MessageType::INFORM {
            // The answer goes to where the question says: only on the link. RFC 2131 section 4.3.5: no lease
            // time.
            let here = |address: &Ipv4Addr| link.subnet.contains(address);
            if !here(&asked.header.ciaddr) || (!here(&source) && asked.header.giaddr.is_unspecified()) {
                return Err(Discard::OffLink);
            }
            return Ok(Some(Answer::new(MessageType::ACK)));
        }
        let asks = matches!(asked.kind, MessageType::DISCOVER | MessageType::REQUEST);
        let v6only = if asks { self.v6only(now, link, asked, actions) } else { None };
        if v6only.is_some() && asked.kind == MessageType::DISCOVER {
            // Nothing is promised: it needs no disk.
            return self.discover(now, link, asked, v6only, ticket).map(Some);
        }
        self.flight.held_up()?;
        if self.flight.concerns(&(link.name.clone(), asked.client.clone())) {
            return Err(Discard::Committing);
        }
        match asked.kind {
            MessageType::DISCOVER => self.discover(now, link, asked, v6only, ticket).map(Some),
            MessageType::REQUEST => self.request(now, link, asked, v6only, ticket).map(Some),
            MessageType::DECLINE => {
                let lease = self.held_at(link, asked, asked.requested)?;
                count(&mut self.counters.conflicts);
                self.quarantine(now, link, lease, ticket);
                Ok(None)
            }
            _ => {
                let lease = self.held_at(link, asked, Some(asked.header.ciaddr))?;
                self.stage(ticket, LeaseChange::Remove(lease.address));
                Ok(None)
            }
        }
    }

    /// The client's lease, if it is the one that the client talks of.
    fn held_at(&self, link: &Link, asked: &Asked, address: Option<Ipv4Addr>) -> Result<Lease, Discard> {
        let lease = self.table.held(&link.name, &asked.client);
        lease.filter(|lease| Some(lease.address) == address).cloned().ok_or(Discard::NotHeld)
    }

    /// How long the client is to do without IPv4, if it can, the link has a way to IPv4 for it, and the pilot
    /// lets it in (RFC 8925 section 3.3).
    fn v6only(&mut self, now: Duration, link: &Link, asked: &Asked, actions: &mut Actions) -> Option<u32> {
        if !asked.wants(OptionCode::IPV6_ONLY_PREFERRED) {
            return None;
        }
        count(&mut self.counters.asked_v6only);
        let mostly = link.ipv6_mostly?;
        let place = self.pilot.place(&asked.client);
        let mut changes = Vec::new();
        let admitted = if self.pilot.considers(&asked.client, &asked.header.hardware) {
            let evicted = &mut self.counters.roster_evicted;
            self.roster.admits(now, place, self.pilot.percent, self.limits.roster, evicted, &mut changes)
        } else {
            self.roster.forget(place, &mut changes);
            false
        };
        if !changes.is_empty() {
            actions.push(Action::Roster(changes));
        }
        admitted.then(|| mostly.wait())
    }
}

fn by_name(links: Vec<Link>) -> BTreeMap<LinkId, Arc<Link>> {
    links.into_iter().map(|link| (link.name.clone(), Arc::new(link))).collect()
}

pub(super) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// Seconds from `now` to `until`, at least one; for ever stays for ever.
pub(super) fn remaining(until: Duration, now: Duration) -> u32 {
    if until == Duration::MAX { INFINITY } else { super::config::seconds(until.saturating_sub(now)) }
}

/// The place of a client by its name. One that is named by its hardware address and sends another identifier
/// is found when it asks.
fn place_of(pilot: &Pilot, selector: &Selector) -> Place {
    match selector {
        Selector::Host(duid) => pilot.place(&ClientId::duid(0, duid)),
        Selector::Hardware(address) => pilot.place(&ClientId::hardware(Hardware::ethernet(*address))),
        Selector::Id(id) => pilot.place(id),
    }
}
