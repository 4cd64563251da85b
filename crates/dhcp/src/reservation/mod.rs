//! Addresses and prefixes that are somebody's alone, and what else is his.
//!
//! A reservation has an [`Owner`]: a client, one of its associations, a machine, or a line. Who asks may be several of
//! them; the first in the order of [`Owner`] that has a reservation for its link counts, and all that this owner has.
//!
//! # Rules
//! - What is reserved is never given to anybody else, offered or not.
//! - Two owners of one address, or of prefixes that overlap: the one that was there first keeps it, and the other
//!   reservation is refused ([`Conflict`]). What was added while running was there before what a file says.
//! - What was leased to somebody before it was reserved stays his until his next message: then he is told to stop using
//!   it, and gets something else. Until the time that he was promised is over, its owner gets something from the pool.
//! - Its owner, as soon as it is free, gets it at his next message, in place of what he has from the pool.
//! - It may lie outside of the pools, but must be of the link: an address in one of its networks. Where it is not, as
//!   after the ISP changed the prefix, it waits.

#[cfg(test)]
mod tests;

use crate::hex;
use crate::lease::{Kind, LinkId, Resource};
use crate::options::OptionSet;
use crate::policy::Asking;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Most reservations of a server.
pub const MOST_RESERVATIONS: usize = 100_000;
/// Most addresses and prefixes of one reservation, and most reservations of one owner.
pub const MOST_RESOURCES: usize = 8;

/// Whose a reservation is. What stands first here counts first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// One association of a client: its DUID and IAID.
    Association(Duid, u32),
    /// A client by its DUID.
    Duid(Duid),
    /// A machine by its hardware address.
    Mac(Box<[u8]>),
    /// A subscriber (RFC 4580).
    Subscriber(Box<[u8]>),
    /// A line by its Remote-ID, the enterprise number in front (RFC 4649).
    Remote(Box<[u8]>),
    /// A line by its Interface-Id, which means something at one relay agent only: name the link too.
    Interface(Box<[u8]>),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Association(duid, iaid) => write!(f, "duid {duid} iaid {iaid}"),
            Self::Duid(duid) => write!(f, "duid {duid}"),
            Self::Mac(mac) => write!(f, "mac {}", hex::write(mac)),
            Self::Subscriber(name) => write!(f, "subscriber-id {}", name_of_line(name)),
            Self::Remote(name) => match name.split_first_chunk::<4>() {
                Some((enterprise, name)) => {
                    write!(f, "remote-id {}:{}", u32::from_be_bytes(*enterprise), name_of_line(name))
                }
                None => write!(f, "remote-id {}", name_of_line(name)),
            },
            Self::Interface(name) => write!(f, "interface-id {}", name_of_line(name)),
        }
    }
}

/// Octets as text where that can be read back, else in digits after `0x`.
pub fn name_of_line(octets: &[u8]) -> String {
    let plain = |octet: &u8| octet.is_ascii_graphic() && !b"\"'\\*,".contains(octet);
    match std::str::from_utf8(octets) {
        Ok(text) if octets.iter().all(plain) && !text.starts_with("0x") => text.to_owned(),
        _ => format!("0x{}", hex::write(octets).replace(':', "")),
    }
}

/// What [`name_of_line`] wrote: text, or digits after `0x`. None where it is empty, or longer than a name can be.
pub fn line_of_name(text: &str) -> Option<Box<[u8]>> {
    let octets: Box<[u8]> = match text.strip_prefix("0x") {
        Some(digits) => hex::read(digits)?.into(),
        None => text.as_bytes().into(),
    };
    (1..=255).contains(&octets.len()).then_some(octets)
}

/// From where a reservation comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was added while running, and is kept.
    Command,
    /// From this line of a file.
    Line(u32),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("command"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// What is somebody's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Whose.
    pub owner: Owner,
    /// On which link alone; everywhere where it names none.
    pub link: Option<LinkId>,
    /// Addresses and prefixes.
    pub resources: Vec<Resource>,
    /// The name by which the owner is known, whatever it calls itself.
    pub hostname: Option<String>,
    /// What only the owner is told.
    pub options: Arc<OptionSet>,
    /// From where it comes.
    pub origin: Origin,
}

/// Why a reservation was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// What it reserves, or a part of it, is another's.
    #[error("{resource} is reserved already: {other} for {owner} ({origin})")]
    Reserved {
        /// What.
        resource: Resource,
        /// What of the other's overlaps it.
        other: Resource,
        /// Whose it is.
        owner: Owner,
        /// Where that is said.
        origin: Origin,
    },
    /// It holds more than [`MOST_RESOURCES`].
    #[error(
        "{count} addresses and prefixes are more than one reservation can have; write at most {MOST_RESOURCES}"
    )]
    Resources {
        /// How many.
        count: usize,
    },
    /// The owner has as many as one can have.
    #[error("{owner} has {MOST_RESOURCES} reservations already; put them together")]
    Owner {
        /// Whose.
        owner: Owner,
    },
    /// There are as many as there can be.
    #[error("there are {MOST_RESERVATIONS} reservations already")]
    Full,
}

/// Which rows an owner has.
type Index = BTreeMap<Box<[u8]>, Vec<u32>>;

/// All reservations, found by owner and by what is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reservations {
    rows: BTreeMap<u32, Reservation>,
    next: u32,
    associations: BTreeMap<Box<[u8]>, BTreeMap<u32, Vec<u32>>>,
    /// By DUID, hardware address, Subscriber-ID, Remote-ID, Interface-Id.
    owners: [Index; 5],
    resources: BTreeMap<Resource, u32>,
    /// How many prefixes there are of each length, for the search of covering ones.
    lengths: BTreeMap<u8, usize>,
}

impl Reservations {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each with the number by which it can be removed, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Reservation)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// Adds a reservation, and says by which number it can be removed.
    ///
    /// # Errors
    /// [`Conflict`]; then nothing is added.
    pub fn insert(&mut self, reservation: Reservation) -> Result<u32, Conflict> {
        if self.rows.len() >= MOST_RESERVATIONS {
            return Err(Conflict::Full);
        }
        let count = reservation.resources.len();
        if count > MOST_RESOURCES {
            return Err(Conflict::Resources { count });
        }
        for &resource in &reservation.resources {
            let others = self
                .overlaps(resource.net())
                .filter(|(_, row)| row.owner != reservation.owner || self.resources.contains_key(&resource));
            if let Some((other, row)) = others.into_iter().next() {
                let (owner, origin) = (row.owner.clone(), row.origin);
                return Err(Conflict::Reserved { resource, other, owner, origin });
            }
        }
        let id = self.next;
        let rows = self.rows_of(&reservation.owner);
        if rows.len() >= MOST_RESOURCES {
            return Err(Conflict::Owner { owner: reservation.owner });
        }
        rows.push(id);
        self.next = self.next.wrapping_add(1);
        for &resource in &reservation.resources {
            if self.resources.insert(resource, id).is_none()
                && let Resource::Prefix(prefix) = resource
            {
                *self.lengths.entry(prefix.prefix_len()).or_default() += 1;
            }
        }
        self.rows.insert(id, reservation);
        Ok(id)
    }

    /// Takes a reservation away.
    pub fn remove(&mut self, id: u32) -> Option<Reservation> {
        let row = self.rows.remove(&id)?;
        self.rows_of(&row.owner).retain(|other| *other != id);
        self.forget_if_empty(&row.owner);
        for resource in &row.resources {
            if self.resources.remove(resource).is_some()
                && let Resource::Prefix(prefix) = resource
                && let Some(count) = self.lengths.get_mut(&prefix.prefix_len())
            {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.prefix_len());
                }
            }
        }
        Some(row)
    }

    /// What is reserved and shares an address with `net`.
    pub fn overlaps(&self, net: Ipv6Net) -> impl Iterator<Item = (Resource, &Reservation)> {
        let addresses = Resource::Address(net.network())..=Resource::Address(net.broadcast());
        let prefixes = Resource::Prefix(net.trunc())..=Resource::Prefix(net.broadcast().into());
        let covering = self.lengths.range(..net.prefix_len()).filter_map(move |(&length, _)| {
            let cover = Resource::Prefix(Ipv6Net::new(net.network(), length).ok()?.trunc());
            self.resources.get_key_value(&cover)
        });
        let within = self.resources.range(addresses).chain(self.resources.range(prefixes));
        covering.chain(within).filter_map(|(resource, id)| Some((*resource, self.rows.get(id)?)))
    }

    /// Whether `resource` itself is reserved for somebody on this link.
    pub fn is_reserved(&self, link: &str, resource: Resource) -> bool {
        let row = self.resources.get(&resource).and_then(|id| self.rows.get(id));
        row.is_some_and(|row| row.link.as_deref().is_none_or(|place| place == link))
    }

    /// Whether anything of this kind is reserved for somebody on this link.
    pub fn any_of_kind(&self, link: &str, kind: Kind) -> bool {
        let least = Resource::Prefix(Ipv6Net::default());
        let mut some = match kind {
            Kind::Address => self.resources.range(Resource::Address(Ipv6Addr::UNSPECIFIED)..least),
            Kind::Prefix => self.resources.range(least..),
        };
        some.any(|(resource, _)| self.is_reserved(link, *resource))
    }

    /// What is reserved for who asks, on its link: all of the first owner that it is. An association's reservations are
    /// found where its IAID is given.
    pub fn find<'r>(
        &'r self,
        asking: &Asking<'r>,
        iaid: Option<u32>,
    ) -> impl Iterator<Item = &'r Reservation> + Clone {
        let link = asking.link;
        let here = move |id: &u32| {
            self.rows.get(id).filter(|row| row.link.as_deref().is_none_or(|place| place == link))
        };
        let association =
            asking.duid.zip(iaid).and_then(|(duid, iaid)| self.associations.get(duid)?.get(&iaid));
        let mac = asking.mac;
        let by = move |at: usize| {
            let index = self.owners.get(at)?;
            match at {
                0 => index.get(asking.duid?),
                1 => index.get(mac?.as_bytes()),
                2 => index.get(asking.subscriber_id?),
                3 => index.get(asking.remote_id?),
                _ => index.get(asking.interface_id?),
            }
        };
        let others = (0..self.owners.len()).map(by);
        let mut lists = std::iter::once(association).chain(others).flatten();
        let any = !self.rows.is_empty();
        let first = any.then(|| lists.find(|rows| rows.iter().any(|id| here(id).is_some()))).flatten();
        first.into_iter().flatten().filter_map(here)
    }

    /// The list of an owner's rows, made where there is none.
    fn rows_of(&mut self, owner: &Owner) -> &mut Vec<u32> {
        let key: Box<[u8]> = octets(owner).into();
        match place(owner) {
            Err(iaid) => self.associations.entry(key).or_default().entry(iaid).or_default(),
            Ok(at) => self.owners[at].entry(key).or_default(),
        }
    }

    fn forget_if_empty(&mut self, owner: &Owner) {
        let key = octets(owner);
        match place(owner) {
            Err(iaid) => {
                if let Some(iaids) = self.associations.get_mut(key) {
                    if iaids.get(&iaid).is_some_and(Vec::is_empty) {
                        iaids.remove(&iaid);
                    }
                    if iaids.is_empty() {
                        self.associations.remove(key);
                    }
                }
            }
            Ok(at) => {
                if self.owners[at].get(key).is_some_and(Vec::is_empty) {
                    self.owners[at].remove(key);
                }
            }
        }
    }
}

/// Which of [`Reservations::owners`] knows it, or by which IAID it is an association.
fn place(owner: &Owner) -> Result<usize, u32> {
    match owner {
        Owner::Association(_, iaid) => Err(*iaid),
        Owner::Duid(_) => Ok(0),
        Owner::Mac(_) => Ok(1),
        Owner::Subscriber(_) => Ok(2),
        Owner::Remote(_) => Ok(3),
        Owner::Interface(_) => Ok(4),
    }
}

fn octets(owner: &Owner) -> &[u8] {
    match owner {
        Owner::Association(duid, _) | Owner::Duid(duid) => duid.as_bytes(),
        Owner::Mac(octets) | Owner::Subscriber(octets) | Owner::Remote(octets) | Owner::Interface(octets) => {
            octets
        }
    }
}
