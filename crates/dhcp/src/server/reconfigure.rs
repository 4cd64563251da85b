//! Reconfigure (RFC 9915 sections 18.3.11 and 20.4): a client that agreed to it is asked to come back.
//!
//! A client says by an option that it takes such messages, and is given a key in the Reply that binds it. The key is
//! derived from a secret and the client's DUID: nothing but who agreed has to be kept, and its owner keeps that
//! ([`Action::Agreed`]) before the Reply leaves. Replay detection values are the time: they grow over restarts too.

use super::Server;
use super::action::{Action, Actions, Reply};
use super::message::Asked;
use super::way::Way;
use crate::lease::{Lease, LeaseState, Resource};
use hmac::{Hmac, KeyInit, Mac as _};
use md5::Md5;
use sixgate_wire::dhcpv6::{
    Authentication, Builder, CLIENT_PORT, Duid, MessageType, OptionCode, TransactionId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// REC_TIMEOUT (RFC 9915 section 7.6).
const TIMEOUT: Duration = Duration::from_secs(2);
/// REC_MAX_RC (RFC 9915 section 7.6).
const MOST_SENT: u8 = 8;
/// Clients that are asked within a second, so that not all of them come back at once.
const PACE: u32 = 100;
/// Octets of a key, and of an HMAC-MD5.
const KEY: usize = 16;
/// Room for a Reconfigure: two DUIDs of 130 octets and little else.
const ROOM: usize = 512;

/// What has happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Clients that agreed and were given their key.
    pub agreed: u64,
    /// Messages sent.
    pub sent: u64,
    /// Clients that came back when they were asked.
    pub answered: u64,
    /// Clients that did not, however often they were asked.
    pub given_up: u64,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Everybody who agreed.
    All,
    /// Everybody on one link who did.
    Link(String),
    /// One client.
    Client(Duid),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Called {
    /// Clients that will be asked.
    pub clients: usize,
    /// Clients that were meant and never agreed.
    pub never_agreed: usize,
}

/// One who was asked and has not come back.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    message: MessageType,
    /// A lease of the client's, by which it is found.
    lease: Resource,
    at: Duration,
    sent: u8,
    timeout: Duration,
}

/// Who agreed, and who is being asked.
#[derive(Debug)]
pub(super) struct Reconfigure {
    secret: [u8; KEY],
    /// With the way to each that is behind relay agents.
    agreed: BTreeMap<Duid, Option<Way>>,
    waiting: BTreeMap<Duid, Waiting>,
    due: BTreeSet<(Duration, Duid)>,
    last_replay: u64,
    counters: Counters,
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <Hmac<Md5> as KeyInit>::new_from_slice(key) else { return [0; KEY] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Reconfigure {
    fn key(&self, client: &Duid) -> [u8; KEY] {
        mac(&self.secret, &[b"reconfigure key", client.as_bytes()])
    }

    /// A replay detection value that is greater than all before it.
    fn replay(&mut self, now: Duration) -> u64 {
        let time = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.last_replay = time.max(self.last_replay.saturating_add(1));
        self.last_replay
    }

    fn stop_waiting(&mut self, client: &Duid) -> bool {
        let Some(waiting) = self.waiting.remove(client) else { return false };
        self.due.remove(&(waiting.at, client.clone()));
        true
    }

    fn wait(&mut self, client: Duid, waiting: Waiting) {
        self.stop_waiting(&client);
        self.due.insert((waiting.at, client.clone()));
        self.waiting.insert(client, waiting);
    }
}

/// The Authentication option of the Reconfigure Key Authentication Protocol (RFC 9915 section 20.4).
fn authentication(b: &mut Builder<'_>, replay: u64, kind: u8, content: &[u8; KEY]) {
    b.container(OptionCode::AUTH, |b| {
        // Algorithm HMAC-MD5, replay detection by a growing number.
        b.octets(&[Authentication::RECONFIGURE_KEY, 1, 0]).octets(&replay.to_be_bytes());
        b.octets(&[kind]).octets(content);
    });
}

impl Server {
    /// Lets clients that agree be asked to come back. `secret` has to stay the same over restarts and is nobody else's; `agreed`
    /// are those of whom [`Action::Agreed`] told, with what it told last.
    pub fn set_reconfigure(
        &mut self,
        secret: [u8; 16],
        agreed: impl IntoIterator<Item = (Duid, Option<Way>)>,
    ) {
        self.reconfigure = Some(Reconfigure {
            secret,
            agreed: agreed.into_iter().collect(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            last_replay: 0,
            counters: Counters::default(),
        });
    }

    /// What has happened since the start; none where it is off.
    pub fn reconfigure_counters(&self) -> Option<Counters> {
        self.reconfigure.as_ref().map(|reconfigure| reconfigure.counters)
    }

    /// Asks clients to come back with a message of this type: a Renew, a Rebind or an Information-request. They are asked one
    /// after the other, and again until they do, a few times.
    pub fn reconfigure(&mut self, now: Duration, whom: &Whom, message: MessageType) -> Called {
        let Some(reconfigure) = &mut self.reconfigure else { return Called::default() };
        let meant = |lease: &Lease| match whom {
            Whom::All => true,
            Whom::Link(link) => *lease.link == **link,
            Whom::Client(duid) => lease.duid == *duid,
        };
        let bound = |lease: &Lease| matches!(lease.state, LeaseState::Bound | LeaseState::Retired);
        // Of several leases, that about which the client was heard last says where it is.
        let mut clients: BTreeMap<Duid, Lease> = BTreeMap::new();
        for (_, lease) in self.table.from(0).filter(|(_, lease)| bound(lease) && meant(lease)) {
            let known = clients.get(&lease.duid).is_some_and(|known| known.renewed_at >= lease.renewed_at);
            if !known {
                clients.insert(lease.duid.clone(), lease);
            }
        }
        let mut asked = Called::default();
        for (client, lease) in clients {
            if !reconfigure.agreed.contains_key(&client) {
                asked.never_agreed += 1;
                continue;
            }
            let after = Duration::from_secs(1) * u32::try_from(asked.clients).unwrap_or(u32::MAX) / PACE;
            let at = now.saturating_add(after);
            reconfigure.wait(
                client.clone(),
                Waiting { message, lease: lease.resource, at, sent: 0, timeout: TIMEOUT },
            );
            asked.clients += 1;
        }
        asked
    }

    /// Adds to a message for a client that it may agree, or its key (RFC 9915 sections 18.3.9 and 20.4.1). The message binds
    /// something, if it is a Reply. `way` is where the client is, if it is behind relay agents.
    pub(super) fn offer_reconfigure(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        way: impl FnOnce() -> Option<Way>,
        (ticket, kind): (u64, MessageType),
        bytes: &mut Vec<u8>,
        actions: &mut Actions,
    ) {
        let (most, request) = (self.limits.leases, asked.kind);
        let accepts = asked.message.options().get(OptionCode::RECONF_ACCEPT).is_some();
        let Some(reconfigure) = self.reconfigure.as_mut().filter(|_| accepts) else { return };
        let Some(client) = &asked.client else { return };
        if kind == MessageType::REPLY && !self.flight.is_open(ticket) {
            return;
        }
        let known = reconfigure.agreed.contains_key(client);
        let rebinds = matches!(request, MessageType::RENEW | MessageType::REBIND);
        // Who was bound before this was switched on agrees when it renews; who has its key keeps it.
        let gives_key = kind == MessageType::REPLY
            && (matches!(request, MessageType::SOLICIT | MessageType::REQUEST) || rebinds && !known);
        if gives_key && !known {
            if reconfigure.agreed.len() >= most {
                let holders: BTreeSet<Duid> = self.table.from(0).map(|(_, lease)| lease.duid).collect();
                let gone: Vec<Duid> = reconfigure
                    .agreed
                    .keys()
                    .filter(|one| !holders.contains(*one))
                    .take(256)
                    .cloned()
                    .collect();
                for client in gone {
                    reconfigure.agreed.remove(&client);
                    actions.push(Action::Disagreed(client));
                }
            }
            if reconfigure.agreed.len() >= most {
                return;
            }
            let way = way();
            reconfigure.agreed.insert(client.clone(), way.clone());
            reconfigure.counters.agreed = reconfigure.counters.agreed.saturating_add(1);
            actions.push(Action::Agreed(client.clone(), way));
        }
        let mut room = [0; 64];
        let mut b = Builder::message(&mut room, kind, TransactionId::default());
        b.reconfigure_accept();
        if gives_key {
            let (replay, key) = (reconfigure.replay(now), reconfigure.key(client));
            authentication(&mut b, replay, 1, &key);
        }
        // Options alone: the message has its header.
        bytes.extend(b.finish().unwrap_or_default().get(4..).unwrap_or_default());
    }

    /// A client came back, whether it was asked to or not. Where it is now, if it is behind relay agents, `way` says.
    pub(super) fn reconfigured(
        &mut self,
        client: Option<&Duid>,
        request: MessageType,
        way: impl FnOnce() -> Option<Way>,
        actions: &mut Actions,
    ) {
        if let (Some(reconfigure), Some(client)) = (&mut self.reconfigure, client)
            && let Some(known) = reconfigure.agreed.get_mut(client)
        {
            let now = way();
            if *known != now {
                known.clone_from(&now);
                actions.push(Action::Agreed(client.clone(), now));
            }
        }
        let comes = matches!(
            request,
            MessageType::RENEW
                | MessageType::REBIND
                | MessageType::INFORMATION_REQUEST
                | MessageType::RELEASE
        );
        if let (Some(reconfigure), Some(client), true) = (&mut self.reconfigure, client, comes)
            && reconfigure.stop_waiting(client)
        {
            reconfigure.counters.answered = reconfigure.counters.answered.saturating_add(1);
        }
    }

    /// When somebody is to be asked next.
    pub(super) fn reconfigure_due(&self) -> Option<Duration> {
        self.reconfigure.as_ref()?.due.first().map(|(at, _)| *at)
    }

    /// Asks those whose time has come.
    pub(super) fn send_reconfigures(&mut self, now: Duration, actions: &mut Actions) {
        while let Some(reconfigure) = &mut self.reconfigure
            && let Some((_, client)) = reconfigure.due.first().filter(|(at, _)| *at <= now).cloned()
        {
            let Some(mut waiting) = reconfigure.waiting.get(&client).copied() else {
                reconfigure.due.pop_first();
                continue;
            };
            // RFC 9915 section 18.3.11: as often as that, and then no more.
            if waiting.sent >= MOST_SENT {
                reconfigure.stop_waiting(&client);
                reconfigure.counters.given_up = reconfigure.counters.given_up.saturating_add(1);
                continue;
            }
            waiting.sent += 1;
            waiting.at = now.saturating_add(waiting.timeout);
            waiting.timeout *= 2;
            let (replay, key) = (reconfigure.replay(now), reconfigure.key(&client));
            reconfigure.counters.sent = reconfigure.counters.sent.saturating_add(1);
            reconfigure.wait(client.clone(), waiting);
            let bytes = self.reconfigure_message(&client, waiting.message, replay, &key);
            let lease = self.table.get(waiting.lease).filter(|lease| lease.duid == client);
            if let (Some(bytes), Some(lease)) = (bytes, lease) {
                actions.extend(self.way_to(&lease, bytes).into_iter().map(Action::Reply));
            }
        }
    }

    /// RFC 9915 section 18.3.11.
    fn reconfigure_message(
        &self,
        client: &Duid,
        message: MessageType,
        replay: u64,
        key: &[u8; KEY],
    ) -> Option<Vec<u8>> {
        let write = |hmac: &[u8; KEY]| {
            let mut room = [0; ROOM];
            let mut b = Builder::message(&mut room, MessageType::RECONFIGURE, TransactionId::default());
            b.server_id(&self.duid).client_id(client).option(OptionCode::RECONF_MSG, &[message.0]);
            authentication(&mut b, replay, 2, hmac);
            b.finish().ok().map(<[u8]>::to_vec)
        };
        // The HMAC is over the whole message, with zeros in its own place (RFC 9915 section 20.4.2).
        let unsigned = write(&[0; KEY])?;
        write(&mac(key, &[&unsigned]))
    }

    /// The datagrams that bring a message to the holder of a lease: on its link, or through the relay agents that its last
    /// message came through. Of who agreed before these were kept the nearest agent alone is known: it is sought wherever
    /// agents are heard, and others in the row are not reached.
    fn way_to(&self, lease: &Lease, bytes: Vec<u8>) -> Vec<Reply> {
        let Some(relay) = &lease.relay else {
            return vec![Reply {
                link: lease.link.clone(),
                destination: lease.peer,
                port: CLIENT_PORT,
                bytes,
            }];
        };
        let kept = self.reconfigure.as_ref().and_then(|known| known.agreed.get(&lease.duid)?.clone());
        let interface = lease.line.as_ref().and_then(|line| line.interface_id());
        let way = kept.unwrap_or_else(|| Way::of_one(relay, lease.peer, interface));
        let Some(bytes) = way.wrap(bytes) else { return Vec::new() };
        let here = |link: &&str| way.link().is_none_or(|on| on == *link);
        let reply = |link: &str| Reply {
            link: link.into(),
            destination: way.address(),
            port: way.port(),
            bytes: bytes.clone(),
        };
        self.directory.on().filter(here).map(reply).collect()
    }
}
