//! DNS UPDATE messages (RFC 2136): what is written, and of the answers what matters.

use super::name::Name;
use std::net::IpAddr;

/// Opcode UPDATE (RFC 2136 section 1.3).
const UPDATE: u8 = 5;
/// QR: the message is an answer.
const ANSWER: u8 = 0x80;
/// Octets of a header.
pub(super) const HEADER: usize = 12;

/// Types of records.
pub(super) const SOA: u16 = 6;
pub(super) const PTR: u16 = 12;
pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const DHCID: u16 = 49;
pub(super) const TSIG: u16 = 250;
pub(super) const ANY_TYPE: u16 = 255;
/// Classes.
const IN: u16 = 1;
const NONE: u16 = 254;
pub(super) const ANY: u16 = 255;

/// An UPDATE in the making. Prerequisites come before changes.
#[derive(Debug, Clone)]
pub(super) struct Update {
    bytes: Vec<u8>,
    prerequisites: u16,
    changes: u16,
}

impl Update {
    /// For this zone, with the message's ID.
    pub(super) fn new(id: u16, zone: &Name) -> Self {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend([UPDATE << 3, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(zone.as_bytes());
        bytes.extend(SOA.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        Self { bytes, prerequisites: 0, changes: 0 }
    }

    /// Only if nothing has this name (RFC 2136 section 2.4.5).
    pub(super) fn if_free(self, name: &Name) -> Self {
        self.prerequisite(name, ANY_TYPE, NONE, &[])
    }

    /// Only if something has this name (RFC 2136 section 2.4.4).
    pub(super) fn if_taken(self, name: &Name) -> Self {
        self.prerequisite(name, ANY_TYPE, ANY, &[])
    }

    /// Only if the records of this type are this one and no other (RFC 2136 section 2.4.2).
    pub(super) fn if_is(self, name: &Name, kind: u16, data: &[u8]) -> Self {
        self.prerequisite(name, kind, IN, data)
    }

    /// Only if the name has no record of this type (RFC 2136 section 2.4.3).
    pub(super) fn if_lacks(self, name: &Name, kind: u16) -> Self {
        self.prerequisite(name, kind, NONE, &[])
    }

    /// Adds a record (RFC 2136 section 2.5.1).
    pub(super) fn add(self, name: &Name, kind: u16, ttl: u32, data: &[u8]) -> Self {
        self.change(name, kind, IN, ttl, data)
    }

    /// Removes one record (RFC 2136 section 2.5.4).
    pub(super) fn remove(self, name: &Name, kind: u16, data: &[u8]) -> Self {
        self.change(name, kind, NONE, 0, data)
    }

    /// Removes all records of a type (RFC 2136 section 2.5.2).
    pub(super) fn remove_all(self, name: &Name, kind: u16) -> Self {
        self.change(name, kind, ANY, 0, &[])
    }

    fn prerequisite(mut self, name: &Name, kind: u16, class: u16, data: &[u8]) -> Self {
        debug_assert_eq!(self.changes, 0, "prerequisites come first");
        self.prerequisites += 1;
        self.record(name, kind, class, 0, data);
        self
    }

    fn change(mut self, name: &Name, kind: u16, class: u16, ttl: u32, data: &[u8]) -> Self {
        self.changes += 1;
        self.record(name, kind, class, ttl, data);
        self
    }

    fn record(&mut self, name: &Name, kind: u16, class: u16, ttl: u32, data: &[u8]) {
        push_record(&mut self.bytes, name.as_bytes(), kind, class, ttl, data);
    }

    /// The message, unsigned.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for (at, count) in [(6, self.prerequisites), (8, self.changes)] {
            if let Some(field) = self.bytes.get_mut(at..at + 2) {
                field.copy_from_slice(&count.to_be_bytes());
            }
        }
        self.bytes
    }
}

/// Writes a record. Its data has less than 64 KiB: the longest that is written here is a name.
pub(super) fn push_record(bytes: &mut Vec<u8>, name: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) {
    bytes.extend(name);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
}

/// What an answer to an UPDATE says (RFC 2136 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u8);

impl Rcode {
    pub(super) const NOERROR: Self = Self(0);
    pub(super) const NXDOMAIN: Self = Self(3);
    pub(super) const YXDOMAIN: Self = Self(6);
    pub(super) const NXRRSET: Self = Self(8);

    /// Its mnemonic, and what it means here.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            0 => "NOERROR",
            1 => "FORMERR: it does not understand the update",
            2 => "SERVFAIL: it has trouble of its own",
            3 => "NXDOMAIN: the name does not exist",
            4 => "NOTIMP: it takes no updates",
            5 => "REFUSED: it does not allow us to change this zone",
            6 => "YXDOMAIN: the name exists",
            7 => "YXRRSET: the records exist",
            8 => "NXRRSET: the records do not exist",
            9 => "NOTAUTH: it is no authority for the zone, or does not accept our key",
            10 => "NOTZONE: the name lies outside of the zone",
            _ => "an unknown code",
        }
    }
}

/// ID and code of an answer to an UPDATE; none where the octets are no such thing.
pub(super) fn answer(bytes: &[u8]) -> Option<(u16, Rcode)> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let [id0, id1, flags, code, ..] = *header;
    let is_answer = flags & ANSWER != 0 && flags >> 3 & 15 == UPDATE;
    is_answer.then_some((u16::from_be_bytes([id0, id1]), Rcode(code & 15)))
}

/// The record of an address: its type, and its data.
pub(super) fn record(address: IpAddr) -> (u16, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (A, address.octets().to_vec()),
        IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
    }
}
