//! Answers to questions about local names.

use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{NS, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::reserved::{Reserved, Reversed, reserved};
use super::{GATEWAY, Names};

/// Seconds that an answer about a host may be kept: a lease can end and its name go to another.
const HOST_TTL: u32 = 60;
/// Seconds that a denial under `home.arpa.` or a LAN's prefix may be kept: the host may be about to ask for a
/// lease.
const NEGATIVE_TTL: u32 = 30;
/// Seconds that a fact out of an RFC may be kept (RFC 6303 section 3).
const RESERVED_TTL: u32 = 10_800;

/// What the gateway says by its own authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) code: ResponseCode,
    pub(crate) answers: Vec<Record>,
    /// The SOA that a denial carries (RFC 2308 section 3).
    pub(crate) authority: Option<Record>,
}

impl Local {
    pub(crate) fn records(answers: Vec<Record>) -> Self {
        Self { code: ResponseCode::NoError, answers, authority: None }
    }

    pub(crate) fn denial(code: ResponseCode, soa: Record) -> Self {
        Self { code, answers: Vec::new(), authority: Some(soa) }
    }
}

impl Names {
    /// The answer to a question, or nothing when it is one for an upstream.
    pub(crate) fn answer(&self, name: &Name, kind: RecordType, dnssec_ok: bool) -> Option<Local> {
        let lower = name.to_lowercase();
        if let Some(addresses) = self.hosts.get(&lower) {
            return Some(self.written(&lower, addresses, kind));
        }
        let mut labels: Vec<&[u8]> = lower.iter().collect();
        labels.reverse();
        match labels.as_slice() {
            // The signed proof that home.arpa. is not delegated securely comes from its parent (RFC 8375
            // section 4).
            [b"arpa", b"home"] if kind == RecordType::DS && dnssec_ok => return None,
            [b"arpa", b"home", host @ ..] => return Some(self.home(&lower, host, kind)),
            [b"arpa", b"ip6", below @ ..] => {
                if let Some(local) = self.reversed(&lower, &Reversed::v6(below), kind) {
                    return Some(local);
                }
            }
            [b"arpa", b"in-addr", below @ ..] => {
                if let Some(local) = self.reversed(&lower, &Reversed::v4(below), kind) {
                    return Some(local);
                }
            }
            _ => {}
        }
        if self.forwarded.iter().any(|zone| zone.zone_of(&lower)) {
            return None;
        }
        reserved(&labels).map(|what| answer_reserved(what, &lower, kind))
    }

    fn soa(&self, zone: Name) -> Record {
        let mname = host_name(GATEWAY).unwrap_or_else(|| zone.clone());
        soa(zone, mname, self.serial, NEGATIVE_TTL)
    }

    /// A name that the owner of the network wrote down: it is a zone of its own, so that only it is taken from its parent.
    fn written(&self, name: &Name, addresses: &[IpAddr], kind: RecordType) -> Local {
        self.host(name, name.clone(), addresses, kind)
    }

    /// A name with these addresses, in the zone of `apex`.
    fn host(&self, name: &Name, apex: Name, addresses: &[IpAddr], kind: RecordType) -> Local {
        let data = addresses.iter().map(|address| RData::from(*address));
        let records: Vec<Record> = data
            .filter(|data| data.record_type() == kind)
            .map(|data| Record::from_rdata(name.clone(), HOST_TTL, data))
            .collect();
        if records.is_empty() {
            return Local::denial(ResponseCode::NoError, self.soa(apex));
        }
        Local::records(records)
    }

    fn home(&self, name: &Name, host: &[&[u8]], kind: RecordType) -> Local {
        let apex = name.trim_to(2);
        match host {
            [] => self.apex(apex, kind),
            [label] => {
                let addresses = std::str::from_utf8(label).ok().and_then(|label| self.addresses(label));
                match addresses {
                    None => Local::denial(ResponseCode::NXDomain, self.soa(apex)),
                    Some(addresses) => self.host(name, apex, addresses, kind),
                }
            }
            _ => Local::denial(ResponseCode::NXDomain, self.soa(apex)),
        }
    }

    fn apex(&self, zone: Name, kind: RecordType) -> Local {
        match (kind, host_name(GATEWAY)) {
            (RecordType::SOA, _) => Local::records(vec![self.soa(zone)]),
            (RecordType::NS, Some(gateway)) => {
                Local::records(vec![Record::from_rdata(zone, HOST_TTL, RData::NS(NS(gateway)))])
            }
            _ => Local::denial(ResponseCode::NoError, self.soa(zone)),
        }
    }

    /// The name of an address, if it lies in one of the LANs' prefixes.
    fn reversed(&self, name: &Name, reversed: &Reversed, kind: RecordType) -> Option<Local> {
        let zones = self.prefixes.iter().filter(|prefix| prefix.contains(&reversed.address));
        let zone = zones.map(|prefix| reversed.labels_of(*prefix)).find(|zone| reversed.read >= *zone)?;
        Some(self.pointer(name, reversed, zone, kind))
    }

    /// A name below `ip6.arpa.` or `in-addr.arpa.`, in the zone of a LAN that has `zone` labels there.
    fn pointer(&self, name: &Name, reversed: &Reversed, zone: usize, kind: RecordType) -> Local {
        let apex = name.trim_to(zone + 2);
        if reversed.labels == zone && zone < reversed.all() {
            return self.apex(apex, kind);
        }
        if reversed.is_whole() {
            if let Some(host) = self.label_of(reversed.address).and_then(host_name) {
                return if kind == RecordType::PTR {
                    Local::records(vec![Record::from_rdata(name.clone(), HOST_TTL, RData::PTR(PTR(host)))])
                } else {
                    Local::denial(ResponseCode::NoError, self.soa(apex))
                };
            }
        } else if let Some(below) = reversed.net() {
            // A name with nothing of its own but with names below it is there (RFC 8020 section 2), and a
            // resolver that walks down label by label must not stop here (RFC 9156).
            if self.any_within(below.network(), below.broadcast()) {
                return Local::denial(ResponseCode::NoError, self.soa(apex));
            }
        }
        Local::denial(ResponseCode::NXDomain, self.soa(apex))
    }
}

fn answer_reserved(what: Reserved, name: &Name, kind: RecordType) -> Local {
    let record = |data| Local::records(vec![Record::from_rdata(name.clone(), RESERVED_TTL, data)]);
    let denial = |code, zone: Name| Local::denial(code, soa(zone.clone(), zone, 1, RESERVED_TTL));
    match (what, kind) {
        (Reserved::Localhost, RecordType::AAAA) => record(RData::AAAA(Ipv6Addr::LOCALHOST.into())),
        (Reserved::Localhost, RecordType::A) => record(RData::A(std::net::Ipv4Addr::LOCALHOST.into())),
        (Reserved::LoopbackPointer, RecordType::PTR) => match Name::from_labels([b"localhost".as_slice()]) {
            Ok(localhost) => record(RData::PTR(PTR(localhost))),
            Err(_) => denial(ResponseCode::NoError, name.clone()),
        },
        (Reserved::Localhost, _) => denial(ResponseCode::NoError, name.trim_to(1)),
        (Reserved::LoopbackPointer, _) => denial(ResponseCode::NoError, name.clone()),
        (Reserved::NoName(labels), _) if usize::from(name.num_labels()) == labels => {
            // The zone itself is there, with nothing but its SOA and NS (RFC 6303 section 3).
            let zone = soa(name.clone(), name.clone(), 1, RESERVED_TTL);
            match kind {
                RecordType::SOA => Local::records(vec![zone]),
                RecordType::NS => record(RData::NS(NS(name.clone()))),
                _ if labels == 1 => Local::denial(ResponseCode::NXDomain, zone),
                _ => Local::denial(ResponseCode::NoError, zone),
            }
        }
        (Reserved::NoName(labels), _) => denial(ResponseCode::NXDomain, name.trim_to(labels)),
        (Reserved::NoData(labels), _) => denial(ResponseCode::NoError, name.trim_to(labels)),
    }
}

/// `label` under `home.arpa.`.
fn host_name(label: &str) -> Option<Name> {
    Name::from_labels([label.as_bytes(), b"home", b"arpa"]).ok()
}

/// RFC 6303 section 3 gives the contact and the times.
pub(crate) fn soa(zone: Name, mname: Name, serial: u32, minimum: u32) -> Record {
    let nobody = Name::from_labels([b"nobody".as_slice(), b"invalid"]).unwrap_or_else(|_| zone.clone());
    let data = SOA::new(mname, nobody, serial, 3_600, 1_200, 604_800, minimum);
    Record::from_rdata(zone, minimum, RData::SOA(data))
}

#[cfg(test)]
mod tests;
