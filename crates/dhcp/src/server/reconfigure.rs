//! Reconfigure (RFC 9915 sections 18.3.11 and 20.4): a client that agreed to it is asked to come back.
//!
//! A client says by an option that it takes such messages, and is given a key in the Reply that binds it. The key is
//! derived from a secret and the client's DUID: nothing but who agreed has to be kept, and its owner keeps that
//! ([`Action::Agreed`]) before the Reply leaves. Replay detection values are the time: they grow over restarts too.
//!
//! Behind relay agents a client is reached by the way ([`Way`]) of the last message that bound it or extended what it holds,
//! as long as every agent in it may still speak for clients, and the client's lease was heard of the same way. Without such a
//! way it is out of reach: the agents would bring the message to nobody, or to somebody else. Who holds nothing any more is
//! forgotten.

use super::action::{Action, Actions, Reply};
use super::message::Asked;
use super::reply::Answer;
use super::way::Way;
use super::{Server, add};
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
/// A client's way is kept anew no more often than this: who comes by two ways in turn costs no write for each message.
const REST: Duration = Duration::from_mins(1);
/// Clients that are forgotten by one [`Action::Disagreed`].
const FORGOTTEN_AT_ONCE: usize = 256;
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
    /// Clients that could not be asked again: what they held is gone, or the way to them.
    pub out_of_reach: u64,
    /// Clients that would have agreed when there was no room for more.
    pub refused: u64,
    /// Clients behind relay agents that came by another way than before.
    pub moved: u64,
    /// Other ways that were not kept at once, since the one before them had just been.
    pub held_back: u64,
    /// Clients that were forgotten, since they hold nothing any more.
    pub forgotten: u64,
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
    /// Clients that agreed and cannot be reached now: no way is known through the relay agents before them, or not all of
    /// those may speak for clients.
    pub out_of_reach: usize,
}

/// That a client agreed.
#[derive(Debug, Default)]
struct Consent {
    /// How it is reached; none on a link of the server's own, and where no way could be kept.
    way: Option<Way>,
    /// When its owner was last told of another way.
    told_at: Duration,
    /// Its owner was told of another way than this.
    is_news: bool,
}

/// How a client is reached.
#[derive(Debug, Clone, Copy)]
enum Reach<'a> {
    /// On a link of the server's own.
    Link,
    /// Through relay agents.
    Way(&'a Way),
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
    /// A tree, since there may be a million: nobody waits until a larger table is filled.
    agreed: BTreeMap<Duid, Consent>,
    /// Who may hold nothing any more, and what it held.
    doubted: Vec<(Duid, Resource)>,
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

/// A lease came to an end, or never came to be: its client may hold nothing any more.
pub(super) fn doubt(reconfigure: &mut Option<Reconfigure>, lease: Lease) {
    if let Some(reconfigure) = reconfigure
        && reconfigure.agreed.contains_key(&lease.duid)
    {
        reconfigure.doubted.push((lease.duid, lease.resource));
    }
}

impl Server {
    /// Lets clients that agree be asked to come back. `secret` has to stay the same over restarts and is nobody else's; `agreed`
    /// are those of whom [`Action::Agreed`] told, with what it told last. Those of them who hold nothing are forgotten at once.
    pub fn set_reconfigure(
        &mut self,
        secret: [u8; 16],
        agreed: impl IntoIterator<Item = (Duid, Option<Way>)>,
        actions: &mut Actions,
    ) {
        // What was retired is not bound any more, and yet its client may be asked about it.
        let retired =
            self.table.resources_in(LeaseState::Retired).filter_map(|resource| self.table.get(resource));
        let retired: BTreeSet<Duid> = retired.map(|lease| lease.duid).collect();
        let (agreed, gone): (Vec<_>, Vec<_>) = agreed
            .into_iter()
            .partition(|(client, _)| self.table.has_duid(client) || retired.contains(client));
        let consent = |(client, way)| (client, Consent { way, ..Consent::default() });
        self.reconfigure = Some(Reconfigure {
            secret,
            agreed: agreed.into_iter().map(consent).collect(),
            doubted: Vec::new(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            last_replay: 0,
            counters: Counters { forgotten: gone.len() as u64, ..Counters::default() },
        });
        let gone: Vec<Duid> = gone.into_iter().map(|(client, _)| client).collect();
        actions.extend(gone.chunks(FORGOTTEN_AT_ONCE).map(|some| Action::Disagreed(some.to_vec())));
    }

    /// How many clients have agreed and hold something.
    pub fn agreed(&self) -> usize {
        self.reconfigure.as_ref().map_or(0, |reconfigure| reconfigure.agreed.len())
    }

    /// What has happened since the start; none where it is off.
    pub fn reconfigure_counters(&self) -> Option<Counters> {
        self.reconfigure.as_ref().map(|reconfigure| reconfigure.counters)
    }

    /// Asks clients to come back with a message of this type: a Renew, a Rebind or an Information-request. They are asked one
    /// after the other, and again until they do, a few times.
    pub fn reconfigure(&mut self, now: Duration, whom: &Whom, message: MessageType) -> Called {
        if self.reconfigure.is_none() {
            return Called::default();
        }
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
            let reached = self.reach(&lease).is_some();
            let Some(reconfigure) = &mut self.reconfigure else { continue };
            if !reconfigure.agreed.contains_key(&client) {
                asked.never_agreed += 1;
                continue;
            }
            if !reached {
                asked.out_of_reach += 1;
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

    /// Adds to an answer that the client may agree, or its key (RFC 9915 sections 18.3.9 and 20.4.1). Whether it agrees by
    /// this, once the answer leaves: then [`Server::learn_way`] has to be told.
    pub(super) fn offer_reconfigure(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        answer: &Answer,
        bytes: &mut Vec<u8>,
    ) -> bool {
        let Some(reconfigure) = self.reconfigure.as_mut().filter(|_| asked.accepts_reconfigure()) else {
            return false;
        };
        let Some(client) = &asked.client else { return false };
        let binds = answer.binds();
        if !binds && answer.kind != MessageType::ADVERTISE {
            return false;
        }
        let known = reconfigure.agreed.contains_key(client);
        // Who was bound before this was switched on agrees when it renews; who has its key keeps it.
        let begins = matches!(asked.kind, MessageType::SOLICIT | MessageType::REQUEST);
        let gives_key = binds && (begins || !known);
        if gives_key && !known && reconfigure.agreed.len() >= self.limits.leases {
            add(&mut reconfigure.counters.refused);
            return false;
        }
        let mut room = [0; 64];
        let mut b = Builder::message(&mut room, answer.kind, TransactionId::default());
        b.reconfigure_accept();
        if gives_key {
            let (replay, key) = (reconfigure.replay(now), reconfigure.key(client));
            authentication(&mut b, replay, 1, &key);
        }
        // Options alone: the message has its header.
        bytes.extend(b.finish().unwrap_or_default().get(4..).unwrap_or_default());
        gives_key
    }

    /// A client was bound, or what it holds was extended, by a message that came by `way`, if through relay agents. It agrees
    /// to be asked, or may have agreed before.
    pub(super) fn learn_way(
        &mut self,
        now: Duration,
        client: &Duid,
        agrees: bool,
        way: impl FnOnce() -> Option<Way>,
        actions: &mut Actions,
    ) {
        let Some(reconfigure) = &mut self.reconfigure else { return };
        let Some(consent) = reconfigure.agreed.get_mut(client) else {
            if agrees {
                let way = way();
                add(&mut reconfigure.counters.agreed);
                actions.push(Action::Agreed(client.clone(), way.clone()));
                reconfigure.agreed.insert(client.clone(), Consent { way, ..Consent::default() });
            }
            return;
        };
        let way = way();
        let moved = consent.way != way;
        if moved {
            add(&mut reconfigure.counters.moved);
            consent.way = way;
            consent.is_news = true;
        }
        if consent.is_news && now >= consent.told_at.saturating_add(REST) {
            (consent.told_at, consent.is_news) = (now, false);
            actions.push(Action::Agreed(client.clone(), consent.way.clone()));
        } else if moved {
            add(&mut reconfigure.counters.held_back);
        }
    }

    /// A client was bound by a message that does not say that it may be asked: it may not, whatever it said before (RFC 9915
    /// section 21.20).
    pub(super) fn disagree(&mut self, client: &Duid, actions: &mut Actions) {
        let Some(reconfigure) = &mut self.reconfigure else { return };
        if reconfigure.agreed.remove(client).is_some() {
            reconfigure.stop_waiting(client);
            add(&mut reconfigure.counters.forgotten);
            actions.push(Action::Disagreed(vec![client.clone()]));
        }
    }

    /// A client was answered, whether it was asked to come back or not.
    pub(super) fn came_back(&mut self, client: &Duid, request: MessageType) {
        let comes = matches!(
            request,
            MessageType::RENEW
                | MessageType::REBIND
                | MessageType::INFORMATION_REQUEST
                | MessageType::RELEASE
        );
        if let (Some(reconfigure), true) = (&mut self.reconfigure, comes)
            && reconfigure.stop_waiting(client)
        {
            add(&mut reconfigure.counters.answered);
        }
    }

    /// Forgets those of the doubted who hold nothing indeed.
    pub(super) fn forget_doubted(&mut self, actions: &mut Actions) {
        let Some(reconfigure) = self.reconfigure.as_mut().filter(|known| !known.doubted.is_empty()) else {
            return;
        };
        let mut gone = Vec::new();
        let mut doubted = std::mem::take(&mut reconfigure.doubted);
        for (client, resource) in doubted.drain(..) {
            // What was retired is not bound any more, and yet its client may be asked about it.
            let has = || self.table.get(resource).is_some_and(|lease| lease.duid == client);
            if !self.table.has_duid(&client) && !has() && reconfigure.agreed.remove(&client).is_some() {
                reconfigure.stop_waiting(&client);
                add(&mut reconfigure.counters.forgotten);
                gone.push(client);
            }
        }
        // Its room is wanted again with the next commit.
        reconfigure.doubted = doubted;
        if !gone.is_empty() {
            actions.push(Action::Disagreed(gone));
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
            let bytes = self.reconfigure_message(&client, waiting.message, replay, &key);
            let lease = self.table.get(waiting.lease).filter(|lease| lease.duid == client);
            // What was true when it was called may be so no longer.
            let reply = lease.zip(bytes).and_then(|(lease, bytes)| self.bring(&lease, bytes));
            let Some(reconfigure) = &mut self.reconfigure else { return };
            if let Some(reply) = reply {
                add(&mut reconfigure.counters.sent);
                reconfigure.wait(client, waiting);
                actions.push(Action::Reply(reply));
            } else {
                reconfigure.stop_waiting(&client);
                add(&mut reconfigure.counters.out_of_reach);
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

    /// How the holder of a lease is reached; none where it is not.
    fn reach(&self, lease: &Lease) -> Option<Reach<'_>> {
        if lease.relay.is_none() {
            // Of what was moved to somebody nobody knows yet where he is.
            let known = !lease.peer.is_unspecified() && !self.remote.contains(&lease.link);
            return (known && self.links.contains_key(&lease.link)).then_some(Reach::Link);
        }
        let way = self.reconfigure.as_ref()?.agreed.get(&lease.duid)?.way.as_ref()?;
        // Who may speak for clients may have changed since it was learnt.
        let heard = self.directory.hears(way.link(), way.address(), &way.hops()).is_ok();
        (heard && way.leads_to(lease)).then_some(Reach::Way(way))
    }

    /// The datagram that brings a message to the holder of a lease; none where that is out of reach.
    fn bring(&self, lease: &Lease, bytes: Vec<u8>) -> Option<Reply> {
        Some(match self.reach(lease)? {
            Reach::Link => {
                Reply { link: lease.link.clone(), destination: lease.peer, port: CLIENT_PORT, bytes }
            }
            Reach::Way(way) => Reply {
                link: way.link().clone(),
                destination: way.address(),
                port: way.port(),
                bytes: way.wrap(bytes)?,
            },
        })
    }
}
