//! DNS64 (RFC 6147): IPv6 addresses for names that have IPv4 addresses only. What is said here of one message
//! is pure; `forwarder/synthesis.rs` asks the questions.

use std::net::Ipv6Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::Ipv6Net;
use sixgate_endpoint::nat64::{Prefix, WELL_KNOWN_ADDRESSES};

use crate::names::{Local, address_of, soa};

/// Seconds that a synthesised address may be kept where no SOA tells (RFC 6147 section 5.1.7), and that what
/// is said of the prefix itself may be kept.
pub(crate) const TTL: u32 = 600;
/// `::ffff:0:0/96`, which no AAAA record should hold (RFC 6147 section 5.1.4).
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);
/// IPv4 that is not global (RFC 6890 and its registry, with multicast): network, and its length in bits.
const NOT_GLOBAL: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// Of these, what is global all the same: PCP and TURN anycast (RFC 7723, RFC 8155).
const GLOBAL: [[u8; 4]; 2] = [[192, 0, 0, 9], [192, 0, 0, 10]];

/// DNS64 (RFC 6147): a name that has A records only is given AAAA records that lead through a NAT64.
///
/// Whoever turns it on must have a NAT64 that carries the prefix, or such names lead nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns64 {
    /// The NAT64's prefix. The well-known one stands for global IPv4 addresses only (RFC 6052 section 3.1):
    /// where private ones shall be reached, it takes a prefix of the network.
    pub prefix: Prefix,
    /// AAAA records with these addresses count as none (RFC 6147 section 5.1.4).
    pub excluded: Vec<Ipv6Net>,
}

impl Dns64 {
    /// With this prefix; excluded is `::ffff:0:0/96`, as the RFC has it.
    pub fn new(prefix: Prefix) -> Self {
        Self { prefix, excluded: vec![MAPPED] }
    }

    /// The address that stands for `node`; none for one that the prefix must not stand for.
    fn address(&self, node: A) -> Option<Ipv6Addr> {
        let fits = self.prefix != Prefix::WELL_KNOWN || is_global(node.octets());
        fits.then(|| self.prefix.synthesise(node.0))
    }

    /// The AAAA record that stands for an A record of a local name.
    pub(crate) fn synthesised(&self, record: &Record) -> Option<Record> {
        let RData::A(node) = record.data else { return None };
        let address = self.address(node)?;
        Some(Record::from_rdata(record.name.clone(), record.ttl, RData::AAAA(address.into())))
    }

    /// Takes the excluded addresses out of an answer to an AAAA question; how many there were.
    pub(crate) fn exclude(&self, message: &mut Message) -> u64 {
        let before = message.answers.len();
        message.answers.retain(|record| match &record.data {
            RData::AAAA(address) => !self.excluded.iter().any(|net| net.contains(&address.0)),
            _ => true,
        });
        let excluded = before.saturating_sub(message.answers.len());
        if excluded > 0 {
            // What is left is not what was signed.
            message.answers.retain(|record| !signs(record, RecordType::AAAA));
            message.metadata.authentic_data = false;
        }
        excluded as u64
    }

    /// Makes the answer to an A question that to the AAAA question for the same name (RFC 6147 section
    /// 5.1.7): chains of CNAME and DNAME stay (section 5.1.5), as do the other sections (sections 5.3.2 and
    /// 5.4). No address is told for longer than `cap` seconds. Returns how many addresses were made, and how
    /// many A records went.
    pub(crate) fn synthesise(&self, message: &mut Message, cap: u32) -> (u64, u64) {
        let (mut made, mut withheld) = (0, 0);
        for question in &mut message.queries {
            question.query_type = RecordType::AAAA;
        }
        message.answers.retain_mut(|record| {
            let RData::A(node) = record.data else { return !signs(record, RecordType::A) };
            let Some(address) = self.address(node) else {
                withheld += 1;
                return false;
            };
            made += 1;
            let ttl = record.ttl.min(cap);
            *record = Record::from_rdata(record.name.clone(), ttl, RData::AAAA(address.into()));
            true
        });
        message.metadata.authentic_data = false;
        (made, withheld)
    }

    /// The name below `in-addr.arpa.` that stands behind a name of this prefix below `ip6.arpa.` (RFC 6147
    /// section 5.3.1).
    pub(crate) fn pointed(&self, name: &Name) -> Option<Name> {
        let lower = name.to_lowercase();
        let mut labels: Vec<&[u8]> = lower.iter().collect();
        labels.reverse();
        let [b"arpa", b"ip6", nibbles @ ..] = labels.as_slice() else { return None };
        let (address, count) = address_of(nibbles);
        if count != 32 || nibbles.len() != 32 {
            return None;
        }
        Some(reverse_name(A(self.prefix.extract(address)?)))
    }

    /// What a DNS64 says without asking: `ipv4only.arpa.`, by which hosts learn the prefix (RFC 7050), and
    /// the names of its addresses (RFC 8880 sections 7.1 and 7.2).
    pub(crate) fn special(&self, name: &Name, kind: RecordType, dnssec_ok: bool) -> Option<Local> {
        if !name.iter().next_back().is_some_and(|top| top.eq_ignore_ascii_case(b"arpa")) {
            return None;
        }
        let record = |data| Record::from_rdata(name.clone(), TTL, data);
        let zone_of = |apex: &Name| soa(apex.clone(), apex.clone(), 1, TTL);
        let apex = well_known_name();
        let pointer = WELL_KNOWN_ADDRESSES
            .into_iter()
            .map(|node| reverse_name(A(node)))
            .find(|zone| zone.zone_of(name));
        let zone = match pointer {
            Some(zone) => zone,
            None if apex.zone_of(name) => apex.clone(),
            None => return None,
        };
        // The proof that the zone is not signed comes from its parent.
        if kind == RecordType::DS && dnssec_ok && *name == zone {
            return None;
        }
        if *name != zone {
            return Some(Local::denial(ResponseCode::NXDomain, zone_of(&zone)));
        }
        let answers = match kind {
            RecordType::SOA => vec![zone_of(name)],
            RecordType::NS => vec![record(RData::NS(NS(name.clone())))],
            RecordType::PTR if zone != apex => vec![record(RData::PTR(PTR(apex)))],
            RecordType::A if zone == apex => {
                WELL_KNOWN_ADDRESSES.map(|node| record(RData::A(node.into()))).into()
            }
            // The one place where the well-known prefix stands for addresses that are not global.
            RecordType::AAAA if zone == apex => WELL_KNOWN_ADDRESSES
                .map(|node| record(RData::AAAA(self.prefix.synthesise(node).into())))
                .into(),
            _ => return Some(Local::denial(ResponseCode::NoError, zone_of(&zone))),
        };
        Some(Local::records(answers))
    }
}

/// The record by which a name of the prefix leads to the one that stands behind it.
pub(crate) fn alias(name: &Name, target: Name) -> Record {
    Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target)))
}

/// Whether a record is the signature (RFC 4034 section 3.1) of records of this type.
fn signs(record: &Record, kind: RecordType) -> bool {
    match &record.data {
        RData::Unknown { code: RecordType::RRSIG, rdata } => {
            rdata.anything.starts_with(&u16::from(kind).to_be_bytes())
        }
        _ => false,
    }
}

fn well_known_name() -> Name {
    Name::from_labels([b"ipv4only".as_slice(), b"arpa"]).unwrap_or_default()
}

/// RFC 1035 section 3.5.
fn reverse_name(node: A) -> Name {
    Name::from(node.0)
}

fn is_global(node: [u8; 4]) -> bool {
    let differs = |net: &[u8; 4]| u32::from_be_bytes(node) ^ u32::from_be_bytes(*net);
    GLOBAL.contains(&node) || !NOT_GLOBAL.iter().any(|(net, length)| differs(net) >> (32 - length) == 0)
}
