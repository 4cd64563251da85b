//! Messages of `NETLINK_ROUTE` (rtnetlink(7)), as much of them as tells one entry of the kernel's tables from
//! another.
//!
//! ```text
//! struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32;
//!                  then a body of fixed length by type, then attributes:
//! struct rtattr:   length u16, type u16, value. All in the machine's byte order, aligned to 4 octets.
//! ```
//!
//! Reading is total: what is cut or has a wrong length ends there.

use super::Neighbour;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::Ipv6Addr;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`, `RTMGRP_IPV6_ROUTE` of
/// linux/rtnetlink.h.
pub(super) const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// `RTM_GETLINK`, `RTM_GETADDR`, `RTM_GETROUTE`.
pub(super) const DUMPS: [u16; 3] = [18, 22, 26];

/// `RTM_GETNEIGH`.
pub(super) const NEIGHBOURS: u16 = 30;

const HEADER: usize = 16;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP_FLAGS: u16 = 0x1 | 0x300;
/// `NLM_F_REPLACE` of a notification: the route took the place of another.
const REPLACE: u16 = 0x100;
/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What asks for a whole table, of both families.
pub(super) fn dump(request: u16, sequence: u32) -> Vec<u8> {
    // The body's fixed part, all zeros: no interface, no family in particular. 16 octets are enough for each
    // of the three.
    const BODY: usize = 16;
    let mut out = Vec::with_capacity(HEADER + BODY);
    out.extend_from_slice(&((HEADER + BODY) as u32).to_ne_bytes());
    out.extend_from_slice(&request.to_ne_bytes());
    out.extend_from_slice(&DUMP_FLAGS.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.resize(HEADER + BODY, 0);
    out
}

/// The messages of one datagram.
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            body: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Link,
    Address,
    Route,
}

/// A message in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) kind: Kind,
    /// The entry was removed.
    pub(super) gone: bool,
    /// It took the place of those with the same `entry`.
    pub(super) replaces: bool,
    /// Which entry it is.
    pub(super) entry: u64,
    /// What the entry says, without lifetimes and counters.
    pub(super) content: u64,
}

impl Message<'_> {
    /// Whether no more of a table follows.
    pub(super) fn ends_dump(&self) -> bool {
        matches!(self.kind, ERROR | DONE)
    }

    /// `None` for what is no news of a table.
    pub(super) fn digest(&self, hash: &RandomState) -> Option<Digest> {
        // `RTM_NEWLINK`, `RTM_DELLINK` and so on.
        match self.kind {
            16 | 17 => self.link(hash),
            20 | 21 => self.address(hash),
            24 | 25 => self.route(hash),
            _ => None,
        }
    }

    /// `struct ndmsg`: family u8, pad, interface i32 at 4, state u16 at 8. Where it is about this address: on which interface, and
    /// how it stands.
    pub(super) fn neighbour(&self, address: Ipv6Addr) -> Option<(u32, Neighbour)> {
        /// `RTM_NEWNEIGH`.
        const NEIGHBOUR: u16 = 28;
        /// `NDA_DST`.
        const DESTINATION: u16 = 1;
        /// `NUD_REACHABLE`, `NUD_PERMANENT`.
        const REACHABLE: u16 = 0x02 | 0x80;
        /// `NUD_STALE`, `NUD_DELAY`, `NUD_PROBE`.
        const ASKED: u16 = 0x04 | 0x08 | 0x10;
        let is_it = |(kind, value): (u16, &[u8])| kind == DESTINATION && value == address.octets();
        if self.kind != NEIGHBOUR || !self.attributes(12).any(is_it) {
            return None;
        }
        let state = match u16_at(self.body, 8)? {
            state if state & REACHABLE != 0 => Neighbour::Reachable,
            state if state & ASKED != 0 => Neighbour::Asked,
            _ => Neighbour::Unknown,
        };
        Some((u32_at(self.body, 4)?, state))
    }

    /// The type of a removal is odd.
    fn gone(&self) -> bool {
        self.kind & 1 == 1
    }

    /// `struct ifinfomsg`: family u8, pad, type u16, index i32, flags u32, change u32.
    fn link(&self, hash: &RandomState) -> Option<Digest> {
        /// `IFLA_ADDRESS`, `IFLA_IFNAME`, `IFLA_MTU`, `IFLA_MASTER`, `IFLA_OPERSTATE`, `IFLA_CARRIER`. The
        /// others are counters, queues and what changes with them.
        const TOLD: [u16; 6] = [1, 3, 4, 10, 16, 33];
        /// `IFLA_WIRELESS`: an event of a scan, not the state of the link.
        const WIRELESS: u16 = 11;
        /// `IFF_UP`, `IFF_RUNNING`, `IFF_LOWER_UP`, `IFF_DORMANT`. Promiscuity and multicast do not change
        /// the network.
        const FLAGS: u32 = 0x1 | 0x40 | 0x1_0000 | 0x2_0000;
        let (family, index, flags) = (self.body.first()?, u32_at(self.body, 4)?, u32_at(self.body, 8)?);
        let attributes = self.attributes(16);
        if attributes.clone().any(|(kind, _)| kind == WIRELESS) {
            return None;
        }
        let mut content = hash.build_hasher();
        (flags & FLAGS).hash(&mut content);
        for attribute in attributes.filter(|(kind, _)| TOLD.contains(kind)) {
            attribute.hash(&mut content);
        }
        let entry = hash.hash_one((family, index));
        Some(Digest { kind: Kind::Link, gone: self.gone(), replaces: true, entry, content: content.finish() })
    }

    /// `struct ifaddrmsg`: family u8, prefix length u8, flags u8, scope u8, index u32.
    fn address(&self, hash: &RandomState) -> Option<Digest> {
        /// `IFA_ADDRESS`, `IFA_LOCAL`.
        const NAMES: [u16; 2] = [1, 2];
        /// `IFA_FLAGS`: all 32 of them; the header has room for 8.
        const ALL_FLAGS: u16 = 8;
        /// `IFA_F_OPTIMISTIC`, `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`: whether it can be
        /// used.
        const FLAGS: u32 = 0x04 | 0x08 | 0x20 | 0x40;
        let &[family, length, flags, ..] = self.body else { return None };
        let index = u32_at(self.body, 4)?;
        let mut flags = u32::from(flags);
        let mut entry = hash.build_hasher();
        (family, length, index).hash(&mut entry);
        for (kind, value) in self.attributes(8) {
            if NAMES.contains(&kind) {
                (kind, value).hash(&mut entry);
            } else if kind == ALL_FLAGS {
                flags = u32_at(value, 0)?;
            }
        }
        let content = hash.hash_one(flags & FLAGS);
        Some(Digest {
            kind: Kind::Address,
            gone: self.gone(),
            replaces: true,
            entry: entry.finish(),
            content,
        })
    }

    /// `struct rtmsg`: family, destination's length, source's length, TOS, table, protocol, scope, type (u8
    /// each), flags u32.
    fn route(&self, hash: &RandomState) -> Option<Digest> {
        /// `RTA_DST`, `RTA_SRC`, `RTA_PRIORITY`, `RTA_TABLE`: routes that have these in common stand for each
        /// other.
        const NAMES: [u16; 4] = [1, 2, 6, 15];
        /// `RTA_OIF`, `RTA_GATEWAY`, `RTA_PREFSRC`, `RTA_MULTIPATH`, `RTA_VIA`, `RTA_PREF`, `RTA_NH_ID`:
        /// where it leads. Not `RTA_CACHEINFO` and `RTA_EXPIRES`, the lifetimes.
        const TOLD: [u16; 7] = [4, 5, 7, 9, 18, 20, 30];
        /// `RTNH_F_DEAD`, `RTNH_F_LINKDOWN`.
        const FLAGS: u32 = 0x1 | 0x10;
        /// `RTM_F_CLONED`: what the kernel learnt of one destination, not a route of the table.
        const CLONED: u32 = 0x200;
        let &[family @ (AF_INET | AF_INET6), to, from, tos, table, _, _, kind, ..] = self.body else {
            return None;
        };
        let flags = u32_at(self.body, 8)?;
        if flags & CLONED != 0 {
            return None;
        }
        let (mut entry, mut content) = (hash.build_hasher(), hash.build_hasher());
        (family, to, from, tos, table).hash(&mut entry);
        (kind, flags & FLAGS).hash(&mut content);
        for attribute in self.attributes(12) {
            if NAMES.contains(&attribute.0) {
                attribute.hash(&mut entry);
            } else if TOLD.contains(&attribute.0) {
                attribute.hash(&mut content);
            }
        }
        Some(Digest {
            kind: Kind::Route,
            gone: self.gone(),
            replaces: self.flags & REPLACE != 0,
            entry: entry.finish(),
            content: content.finish(),
        })
    }

    /// Type and value of each attribute behind a body of `fixed` octets.
    fn attributes(&self, fixed: usize) -> impl Iterator<Item = (u16, &[u8])> + Clone {
        let mut rest = self.body.get(fixed..).unwrap_or_default();
        std::iter::from_fn(move || {
            let length = usize::from(u16_at(rest, 0)?);
            // The upper two bits are flags (`NLA_TYPE_MASK`).
            let kind = u16_at(rest, 2)? & 0x3fff;
            let value = rest.get(4..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}
