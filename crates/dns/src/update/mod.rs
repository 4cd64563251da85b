//! Names of DHCP clients in the zones of a DNS server that takes updates: RFC 2136, signed by RFC 8945, with the rules of
//! RFC 4703 for who may have a name.
//!
//! [`Updater`] holds no clock, no socket and no file. Tell it with [`Updater::want`] which address shall have which name;
//! send what comes out, and give it what comes back. What a DNS server may hold of ours comes out as [`Action::Record`],
//! to be kept on disk and given back by [`Updater::restore`] after a restart: so a lease that ended while the DNS server
//! was down, or while we were, is taken out of the zone later. What takes no update is tried again, ever more rarely.
//!
//! A name belongs to the client whose DHCID stands beside it. Another client that calls itself the same gets no name
//! (RFC 4703 section 5.3.3), nor does one whose name a person has put into the zone.

mod dhcid;
mod message;
mod name;
mod tsig;

pub use dhcid::{Dhcid, Identity};
pub use message::Rcode;
pub use name::{Name, NameError, label_bits};
pub use tsig::{Key, KeyError, Refused};

use ipnet::IpNet;
use message::{A, AAAA, DHCID, PTR, Update, record};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Shortest and longest time until what failed is tried again; it doubles with each attempt.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_mins(10);
/// How long a name that is another's is left alone.
const CONFLICT_RETRY: Duration = Duration::from_hours(1);
/// Updates under way at one time while the server answers, and while it does not.
const WINDOW: usize = 32;
const WINDOW_WHEN_SILENT: usize = 1;

/// Where names go.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateConfig {
    /// The zone of the names.
    pub zone: Name,
    /// Prefixes whose reverse zones take updates, of either family, each a multiple of [`label_bits`] long.
    pub reverse: Vec<IpNet>,
    /// Seconds for which resolvers may keep a record.
    pub ttl: u32,
    /// By which updates are signed; without a key they are not.
    pub key: Option<Key>,
    /// Most addresses that are seen to; more are counted, and get no name.
    pub most: usize,
}

/// Something to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keep this for the address in place of what was kept, or keep nothing.
    Record(IpAddr, Option<Vec<u8>>),
    /// Send this to the server.
    Send(Vec<u8>),
}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateCounters {
    /// Updates sent.
    pub sent: u64,
    /// Addresses that got their names.
    pub added: u64,
    /// Addresses whose names were taken away again.
    pub removed: u64,
    /// Names that are another's.
    pub conflicts: u64,
    /// Clients whose name could be no host's.
    pub unusable: u64,
    /// Updates without an answer.
    pub timeouts: u64,
    /// Updates that the server refused.
    pub refused: u64,
    /// Answers that were not believed.
    pub unverified: u64,
    /// Addresses that found no room.
    pub overflow: u64,
}

/// A name and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    name: Name,
    dhcid: Dhcid,
}

/// One update of the several that a name takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The name is nobody's yet (RFC 4703 section 5.3.1).
    AddFirst,
    /// It is this client's already (RFC 4703 section 5.3.2).
    AddAgain,
    /// RFC 4703 section 5.4.
    AddReverse,
    /// RFC 4703 section 5.5.
    DropAddress,
    /// What is left of a name without addresses goes too (RFC 4703 section 5.5).
    DropName,
    DropReverse,
}

#[derive(Debug, Default)]
struct Entry {
    wanted: Option<Target>,
    /// What the server may hold: recorded before it is sent, until it is known to be gone.
    held: Option<Target>,
    /// Whether it holds what is wanted.
    complete: bool,
    step: Option<Step>,
    /// The ID of the update under way.
    under_way: Option<u16>,
    attempts: u32,
    due: Duration,
}

#[derive(Debug)]
struct UnderWay {
    address: IpAddr,
    step: Step,
    mac: Option<[u8; 32]>,
    until: Duration,
    /// Why the last answer to it was not believed.
    refused: Option<Refused>,
}

/// Keeps a DNS server's zones in step with who has which address.
pub struct Updater {
    config: UpdateConfig,
    random: fastrand::Rng,
    entries: BTreeMap<IpAddr, Entry>,
    /// When something is to be done for whom.
    due: BTreeSet<(Duration, IpAddr)>,
    under_way: HashMap<u16, UnderWay>,
    /// Whether the last update had an answer.
    answering: bool,
    trouble: Option<String>,
    counters: UpdateCounters,
}

impl fmt::Debug for Updater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updater")
            .field("config", &self.config)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl Updater {
    /// An updater that knows of nothing.
    pub fn new(config: UpdateConfig, random: fastrand::Rng) -> Self {
        Self {
            config,
            random,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            under_way: HashMap::new(),
            answering: true,
            trouble: None,
            counters: UpdateCounters::default(),
        }
    }

    /// What an earlier run recorded for an address. Call it before anything else; what is not wanted again before the first
    /// [`Updater::handle_timeout`] is taken out of the zone.
    pub fn restore(&mut self, now: Duration, address: IpAddr, record: &[u8]) {
        let Some((held, complete)) = decode(record) else { return };
        if self.entries.len() < self.config.most {
            let entry = Entry { held: Some(held), complete, due: now, ..Entry::default() };
            self.entries.insert(address, entry);
            self.due.insert((now, address));
        } else {
            self.counters.overflow += 1;
        }
    }

    /// From now on the address has this name: what its client calls itself, and by what it is known; or none.
    pub fn want(&mut self, now: Duration, address: IpAddr, client: Option<(&str, Identity<'_>)>) {
        let held = self.entries.get(&address).and_then(|entry| entry.held.as_ref());
        let target = client.and_then(|(hostname, identity)| {
            let name = Name::of_host(hostname, &self.config.zone);
            self.counters.unusable += u64::from(name.is_none());
            let name = name?;
            // After a restart nobody knows which of two readings of the same octets was right: what stands in the zone does.
            let twin = Target { dhcid: Dhcid::new(identity.twin(), &name), name };
            if held == Some(&twin) {
                return Some(twin);
            }
            Some(Target { dhcid: Dhcid::new(identity, &twin.name), name: twin.name })
        });
        let known = self.entries.contains_key(&address);
        if !known && target.is_none() {
            return;
        }
        if !known && self.entries.len() >= self.config.most {
            self.counters.overflow += 1;
            return;
        }
        let entry = self.entries.entry(address).or_default();
        if known && entry.wanted == target {
            return;
        }
        // What an earlier run completed needs nothing more when the same is wanted again.
        entry.complete = entry.complete && entry.held == target;
        entry.wanted = target;
        if entry.under_way.is_none() {
            (entry.step, entry.attempts) = (None, 0);
            self.set_due(address, now);
        }
    }

    /// The time at which to call [`Updater::handle_timeout`]; `None` where there is nothing to wait for.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let patience = self.under_way.values().map(|update| update.until).min();
        let due = self.due.first().map(|(due, _)| *due).filter(|_| self.under_way.len() < self.window());
        patience.into_iter().chain(due).min()
    }

    /// Sends what is due. `wall` is the time of day, in seconds since the Unix epoch: signatures bear it.
    pub fn handle_timeout(&mut self, now: Duration, wall: u64, actions: &mut Vec<Action>) {
        let late: Vec<u16> =
            self.under_way.iter().filter(|(_, update)| update.until <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(update) = self.under_way.remove(&id) {
                self.counters.timeouts += 1;
                self.answering = false;
                let told =
                    update.refused.map_or("it does not answer".to_owned(), |refused| refused.to_string());
                self.fail(now, update.address, told);
            }
        }
        while self.under_way.len() < self.window() {
            let Some(&(due, address)) = self.due.first().filter(|(due, _)| *due <= now) else { break };
            self.due.remove(&(due, address));
            self.begin(now, wall, address, actions);
        }
    }

    /// Octets came from the server.
    pub fn handle(&mut self, now: Duration, wall: u64, bytes: &[u8], actions: &mut Vec<Action>) {
        let Some((id, rcode)) = message::answer(bytes) else {
            self.counters.unverified += 1;
            return;
        };
        let Some(update) = self.under_way.get_mut(&id) else { return };
        if let (Some(key), Some(mac)) = (&self.config.key, &update.mac)
            && let Err(refused) = key.verify(bytes, mac, wall)
        {
            // Anybody can send what is not signed: the true answer may come yet, and is waited for as if nothing had come.
            self.counters.unverified += 1;
            update.refused = Some(refused);
            return;
        }
        let (address, step) = (update.address, update.step);
        self.under_way.remove(&id);
        self.answering = true;
        self.answered(now, address, step, rcode, actions);
        self.handle_timeout(now, wall, actions);
    }

    /// Addresses whose names the zone holds as wanted, and addresses for which something is still to be done.
    pub fn settled_and_pending(&self) -> (usize, usize) {
        // It is asked after each answer: what waits is counted, and not looked for among all there is.
        let pending = (self.due.len() + self.under_way.len()).min(self.entries.len());
        (self.entries.len() - pending, pending)
    }

    /// Why the last update failed; none once one succeeds.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What happened so far.
    pub fn counters(&self) -> UpdateCounters {
        self.counters
    }

    fn window(&self) -> usize {
        if self.answering { WINDOW } else { WINDOW_WHEN_SILENT }
    }

    fn set_due(&mut self, address: IpAddr, due: Duration) {
        if let Some(entry) = self.entries.get_mut(&address) {
            self.due.remove(&(entry.due, address));
            entry.due = due;
            self.due.insert((due, address));
        }
    }

    /// Begins what is next for an address, if there is anything.
    fn begin(&mut self, now: Duration, wall: u64, address: IpAddr, actions: &mut Vec<Action>) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        let step = match (&entry.held, &entry.wanted) {
            (None, None) => {
                self.entries.remove(&address);
                return;
            }
            (held, wanted) if held == wanted && entry.complete => return,
            (Some(held), wanted) if Some(held) != wanted.as_ref() => {
                // From here on not all of it is there, whatever is wanted before the last of it is gone, and whoever is asked
                // for it after a crash.
                entry.complete = false;
                if entry.step.is_none() {
                    actions.push(Action::Record(address, Some(encode(held, false))));
                }
                entry.step.unwrap_or(Step::DropAddress)
            }
            (held, wanted) => {
                if held.is_none() {
                    entry.held.clone_from(wanted);
                    entry.step = None;
                    let record = entry.held.as_ref().map(|held| encode(held, false));
                    actions.push(Action::Record(address, record));
                }
                entry.step.unwrap_or(Step::AddFirst)
            }
        };
        entry.step = Some(step);
        let Some(held) = entry.held.clone() else { return };
        let id = loop {
            let id = self.random.u16(..);
            if !self.under_way.contains_key(&id) {
                break id;
            }
        };
        let Some(update) = self.update(id, step, address, &held) else {
            // Nothing to say to that zone.
            self.answered(now, address, step, Rcode::NOERROR, actions);
            return;
        };
        let mut bytes = update.finish();
        let mac = self.config.key.as_ref().map(|key| key.sign(&mut bytes, wall));
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.under_way = Some(id);
        }
        let until = now.saturating_add(PATIENCE);
        self.under_way.insert(id, UnderWay { address, step, mac, until, refused: None });
        self.counters.sent += 1;
        actions.push(Action::Send(bytes));
    }

    /// The message of a step; none where its zone takes no updates.
    fn update(&self, id: u16, step: Step, address: IpAddr, held: &Target) -> Option<Update> {
        let (name, dhcid, ttl) = (&held.name, held.dhcid.as_bytes(), self.config.ttl);
        let (kind, data) = record(address);
        let forward = Update::new(id, &self.config.zone);
        let backward = || {
            let net = self.config.reverse.iter().filter(|net| net.contains(&address));
            let zone = Name::reverse_zone(*net.max_by_key(|net| net.prefix_len())?)?;
            Some((Update::new(id, &zone), Name::reverse(address)))
        };
        Some(match step {
            Step::AddFirst => forward.if_free(name).add(name, kind, ttl, &data).add(name, DHCID, ttl, dhcid),
            Step::AddAgain => forward.if_taken(name).if_is(name, DHCID, dhcid).add(name, kind, ttl, &data),
            Step::AddReverse => {
                let (update, reverse) = backward()?;
                update
                    .remove_all(&reverse, PTR)
                    .remove_all(&reverse, DHCID)
                    .add(&reverse, PTR, ttl, name.as_bytes())
                    .add(&reverse, DHCID, ttl, dhcid)
            }
            Step::DropAddress => forward.if_is(name, DHCID, dhcid).remove(name, kind, &data),
            Step::DropName => forward
                .if_is(name, DHCID, dhcid)
                .if_lacks(name, A)
                .if_lacks(name, AAAA)
                .remove(name, DHCID, dhcid),
            Step::DropReverse => {
                let (update, reverse) = backward()?;
                update
                    .if_is(&reverse, PTR, name.as_bytes())
                    .remove_all(&reverse, PTR)
                    .remove_all(&reverse, DHCID)
            }
        })
    }

    /// The server answered the update of a step.
    fn answered(
        &mut self,
        now: Duration,
        address: IpAddr,
        step: Step,
        rcode: Rcode,
        actions: &mut Vec<Action>,
    ) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        entry.under_way = None;
        let done = rcode == Rcode::NOERROR;
        let (next, due) = match step {
            Step::AddFirst | Step::AddAgain if done => (Some(Step::AddReverse), now),
            Step::AddFirst if rcode == Rcode::YXDOMAIN => (Some(Step::AddAgain), now),
            // It went between the two updates.
            Step::AddAgain if rcode == Rcode::NXDOMAIN => (Some(Step::AddFirst), now),
            // RFC 4703 section 5.3.3: it is another's, or a person's.
            Step::AddAgain if rcode == Rcode::NXRRSET => {
                self.counters.conflicts += 1;
                entry.held = None;
                actions.push(Action::Record(address, None));
                (None, now.saturating_add(CONFLICT_RETRY))
            }
            Step::AddReverse if done => {
                self.counters.added += 1;
                entry.complete = true;
                actions.push(Action::Record(address, entry.held.as_ref().map(|held| encode(held, true))));
                (None, now)
            }
            // What is not ours any more needs no taking away.
            Step::DropAddress if done => (Some(Step::DropName), now),
            Step::DropAddress if matches!(rcode, Rcode::NXDOMAIN | Rcode::NXRRSET) => {
                (Some(Step::DropReverse), now)
            }
            // The name has other addresses, or went by itself: YXRRSET or NXRRSET.
            Step::DropName if done || matches!(rcode.0, 3 | 7 | 8) => (Some(Step::DropReverse), now),
            Step::DropReverse if done || matches!(rcode, Rcode::NXDOMAIN | Rcode::NXRRSET) => {
                self.counters.removed += 1;
                (entry.held, entry.complete) = (None, false);
                actions.push(Action::Record(address, None));
                (None, now)
            }
            _ => {
                self.counters.refused += 1;
                let told = format!("it answers {}", rcode.meaning());
                self.fail(now, address, told);
                return;
            }
        };
        self.trouble = None;
        let adding = matches!(step, Step::AddFirst | Step::AddAgain | Step::AddReverse);
        // Something else is wanted since: what was added is taken away from its beginning.
        let turned = adding && entry.held.is_some() && entry.held != entry.wanted;
        entry.step = if turned { None } else { next };
        entry.complete &= !turned;
        entry.attempts = 0;
        let due = if turned || (next.is_none() && entry.wanted.is_none()) { now } else { due };
        self.set_due(address, due);
    }

    /// Tries an address again later, from the step at which it is.
    fn fail(&mut self, now: Duration, address: IpAddr, told: String) {
        self.trouble = Some(told);
        let Some(entry) = self.entries.get_mut(&address) else { return };
        entry.under_way = None;
        // What is wanted may have changed meanwhile.
        let adding = matches!(entry.step, Some(Step::AddFirst | Step::AddAgain | Step::AddReverse));
        if adding == (entry.held != entry.wanted) {
            entry.step = None;
        }
        let wait = RETRY.saturating_mul(1 << entry.attempts.min(16)).min(LONGEST_RETRY);
        entry.attempts = entry.attempts.saturating_add(1);
        self.set_due(address, now.saturating_add(wait));
    }
}

/// A record for the disk: the name, the DHCID, and whether all of it was done.
fn encode(held: &Target, complete: bool) -> Vec<u8> {
    let mut text = format!("{} ", held.name);
    for octet in held.dhcid.as_bytes() {
        let _ = write!(text, "{octet:02x}");
    }
    text += if complete { " done" } else { " begun" };
    text.into_bytes()
}

fn decode(record: &[u8]) -> Option<(Target, bool)> {
    let text = std::str::from_utf8(record).ok()?;
    let mut words = text.split(' ');
    let (name, dhcid, state) = (words.next()?, words.next()?, words.next()?);
    let digits: Option<Vec<u8>> =
        (0..dhcid.len() / 2).map(|at| u8::from_str_radix(dhcid.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    let dhcid = Dhcid::from_bytes(&digits?)?;
    Some((Target { name: name.parse().ok()?, dhcid }, state == "done"))
}
