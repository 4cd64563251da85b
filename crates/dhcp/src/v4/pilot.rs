//! Which clients are told that they can do without IPv4: a stable share of those that ask.
//!
//! A client has a *place*, a keyed hash of who it is; those with the lowest places come first. The share is
//! exact, which a hash alone would not give: of a thousand clients, a hash puts 10 in the first percent give
//! or take 3. So a [`Roster`] remembers the places of the clients that asked, and lets in as many as the
//! percentage says of them, lowest place first. Who was let in stays in until the percentage is lowered: then
//! the highest places go first. So raising only adds, and the sets of a lower and of a higher percentage are
//! nested.

use siphasher::sip::SipHasher24;
use sixgate_wire::dhcpv4::{ClientId, ClientIdKind, Hardware};
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;
use std::time::Duration;

/// The policy: who of the clients that ask for option 108 get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pilot {
    /// How many of them, in percent; more than 100 is 100. Of few clients it is the nearest whole number.
    pub percent: u8,
    /// Key of the places. It must stay the same: another key is another choice.
    pub key: [u8; 16],
    /// If not empty, nobody but these, and the percentage counts among them.
    pub only: Vec<Selector>,
    /// None of these, whatever the percentage.
    pub except: Vec<Selector>,
}

impl Pilot {
    /// Everybody who asks.
    pub fn everybody(key: [u8; 16]) -> Self {
        Self { percent: 100, key, only: Vec::new(), except: Vec::new() }
    }

    /// Nobody.
    pub fn nobody(key: [u8; 16]) -> Self {
        Self { percent: 0, ..Self::everybody(key) }
    }

    /// Whether the lists leave it to the percentage.
    pub fn considers(&self, client: &ClientId, hardware: &Hardware) -> bool {
        let any = |list: &[Selector]| list.iter().any(|selector| selector.selects(client, hardware));
        (self.only.is_empty() || any(&self.only)) && !any(&self.except)
    }

    /// The client's place.
    ///
    /// The host is told by its DUID where it sends one (RFC 4361), whichever its interface, so that it has
    /// the same place on Wi-Fi and at the dock; else by its client identifier. For most clients that is the
    /// hardware address, and has the same place whether it is sent or only seen. A client that makes up a new
    /// hardware address each time it comes, and sends nothing better, is a new client each time, here as for
    /// every server; one address for each network, as phones have by default, is stable.
    pub fn place(&self, client: &ClientId) -> Place {
        Place(identity(&self.key, client))
    }
}

/// A keyed hash of who a client is, as [`Pilot::place`] says.
pub(super) fn identity(key: &[u8; 16], client: &ClientId) -> u64 {
    let hash = |kind: u8, octets: &[u8]| {
        let mut hasher = SipHasher24::new_with_key(key);
        hasher.write(&[kind]);
        hasher.write(octets);
        hasher.finish()
    };
    match client.kind() {
        ClientIdKind::Duid { duid, .. } => hash(b'd', duid.as_bytes()),
        ClientIdKind::Hardware(hardware) => hash(b'h', hardware.address()),
        ClientIdKind::Other(octets) => hash(b'i', octets),
    }
}

/// Where a client stands in the order in which clients are let in. It tells nothing of who the client is to
/// those without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub u64);

/// A client by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The host with this DUID, whichever its interface.
    Host(Duid),
    /// The client with this Ethernet address.
    Hardware([u8; 6]),
    /// The client with this identifier.
    Id(ClientId),
}

/// Text that names no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no client: write an Ethernet address (02:00:5e:10:00:01), a DUID \
     (duid:00:03:00:01:02:00:5e:10:00:01) or a client identifier (id:01:02:00:5e:10:00:01)"
)]
pub struct SelectorError {
    /// What was given.
    pub text: String,
}

impl Selector {
    fn selects(&self, client: &ClientId, hardware: &Hardware) -> bool {
        match self {
            Self::Host(wanted) => matches!(client.kind(), ClientIdKind::Duid { duid, .. } if duid == *wanted),
            Self::Hardware(wanted) => {
                let wanted = Hardware::ethernet(*wanted);
                *hardware == wanted || client.kind() == ClientIdKind::Hardware(wanted)
            }
            Self::Id(wanted) => wanted == client,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let error = || SelectorError { text: text.to_owned() };
        if let Some(duid) = text.strip_prefix("duid:") {
            return duid.parse().map(Self::Host).map_err(|_| error());
        }
        if let Some(id) = text.strip_prefix("id:") {
            return id.parse().map(Self::Id).map_err(|_| error());
        }
        // Six pairs of digits with colons between them are read as any identifier is.
        let octets: ClientId = text.parse().map_err(|_| error())?;
        octets.as_bytes().try_into().map(Self::Hardware).map_err(|_| error())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(duid) => write!(f, "duid:{duid}"),
            Self::Hardware(address) => Hardware::ethernet(*address).fmt(f),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

/// A change of the roster, to keep for a restart. Each stands alone: applying one twice does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterChange {
    /// The client at this place is known, and in or out.
    Put {
        /// The client.
        place: Place,
        /// Whether it is in the pilot.
        member: bool,
    },
    /// The client at this place is forgotten.
    Remove(Place),
}

/// A client that the pilot knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterClient {
    /// Who.
    pub place: Place,
    /// Whether it is in the pilot.
    pub member: bool,
    /// When it was last told to do without IPv4, since the server was made.
    pub told: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    member: bool,
    seen: Duration,
    /// When it was last told to do without IPv4.
    told: Option<Duration>,
}

/// The clients that the pilot chooses from, by their places alone, and who of them is in it.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    known: BTreeMap<Place, Known>,
    members: BTreeSet<Place>,
    others: BTreeSet<Place>,
    /// In the order in which they are forgotten: members last.
    idle: BTreeSet<(bool, Duration, Place)>,
}

impl Roster {
    /// The roster as it was: what [`RosterChange`]s told.
    pub fn restored(entries: impl IntoIterator<Item = (Place, bool)>) -> Self {
        let mut roster = Self::default();
        for (place, member) in entries {
            roster.set(place, Known { member, seen: Duration::ZERO, told: None });
        }
        roster
    }

    /// Known clients.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Known clients by place, and whether each is in the pilot.
    pub fn iter(&self) -> impl Iterator<Item = (Place, bool)> {
        self.known.iter().map(|(place, known)| (*place, known.member))
    }

    /// Known clients by place, with what is known of each.
    pub fn clients(&self) -> impl Iterator<Item = RosterClient> {
        self.known.iter().map(|(place, known)| RosterClient {
            place: *place,
            member: known.member,
            told: known.told,
        })
    }

    /// Whether the client at this place is known.
    pub fn contains(&self, place: Place) -> bool {
        self.known.contains_key(&place)
    }

    /// The places in the pilot.
    pub fn members(&self) -> impl Iterator<Item = Place> {
        self.members.iter().copied()
    }

    /// How many are in the pilot.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// How many of those known a percentage is, to the nearest; half a client counts as one.
    fn quota(&self, percent: u8) -> usize {
        (self.known.len() * usize::from(percent.min(100)) + 50) / 100
    }

    fn set(&mut self, place: Place, known: Known) {
        self.unset(place);
        if known.member {
            self.members.insert(place);
        } else {
            self.others.insert(place);
        }
        self.idle.insert((known.member, known.seen, place));
        self.known.insert(place, known);
    }

    fn unset(&mut self, place: Place) -> bool {
        let Some(known) = self.known.remove(&place) else { return false };
        self.members.remove(&place);
        self.others.remove(&place);
        self.idle.remove(&(known.member, known.seen, place));
        true
    }

    fn change(&mut self, place: Place, member: bool, changes: &mut Vec<RosterChange>) {
        let known = self.known.get(&place).copied();
        let known = known.unwrap_or(Known { member, seen: Duration::ZERO, told: None });
        self.set(place, Known { member, ..known });
        changes.push(RosterChange::Put { place, member });
    }

    /// Lets in as many as the percentage says, lowest place first.
    fn fill(&mut self, percent: u8, changes: &mut Vec<RosterChange>) {
        while self.members.len() < self.quota(percent) {
            let Some(&place) = self.others.first() else { return };
            self.change(place, true, changes);
        }
    }

    /// A client asks: it is known from now on. Whether it is in the pilot. At most `most` clients are known;
    /// `evicted` counts those forgotten for it.
    pub(super) fn admits(
        &mut self,
        now: Duration,
        place: Place,
        percent: u8,
        most: usize,
        evicted: &mut u64,
        changes: &mut Vec<RosterChange>,
    ) -> bool {
        if let Some(known) = self.known.get(&place).copied() {
            self.set(place, Known { seen: now, ..known });
        } else {
            while self.known.len() >= most.max(1) {
                let Some(&(_, _, oldest)) = self.idle.first() else { break };
                self.forget(oldest, changes);
                *evicted = evicted.saturating_add(1);
            }
            self.set(place, Known { member: false, seen: now, told: None });
            changes.push(RosterChange::Put { place, member: false });
        }
        self.fill(percent, changes);
        self.members.contains(&place)
    }

    /// The client at this place is told to do without IPv4. When that was last done.
    pub(super) fn tell(&mut self, now: Duration, place: Place) -> Option<Duration> {
        self.known.get_mut(&place)?.told.replace(now)
    }

    /// The percentage is another. Where it is lower, who is too many goes, highest place first.
    pub(super) fn set_percent(&mut self, before: u8, percent: u8, changes: &mut Vec<RosterChange>) {
        while percent < before && self.members.len() > self.quota(percent) {
            let Some(&place) = self.members.last() else { break };
            self.change(place, false, changes);
        }
        self.fill(percent, changes);
    }

    /// The client at this place counts no longer.
    pub(super) fn forget(&mut self, place: Place, changes: &mut Vec<RosterChange>) {
        if self.unset(place) {
            changes.push(RosterChange::Remove(place));
        }
    }

    /// Nobody is known any more.
    pub(super) fn clear(&mut self, changes: &mut Vec<RosterChange>) {
        changes.extend(self.known.keys().map(|place| RosterChange::Remove(*place)));
        *self = Self::default();
    }
}
