//! What is in a frame: changes, and when they were submitted.

use super::Position;
use crate::{Block, Change, PortsChange, Sighting};
use sixgate_dhcp::identity::Mac;
use sixgate_dhcp::lease::{LeaseChange, LeaseState};
use sixgate_dhcp::octets::{self, Reader};
use sixgate_dhcp::v4::{self, Place, RosterChange};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use std::time::Duration;

const TIME: u8 = 0;
const LEASE: u8 = 1;
const LEASE_GONE: u8 = 2;
const SETTING: u8 = 3;
const SETTING_GONE: u8 = 4;
const LEASE_V4: u8 = 5;
const LEASE_V4_GONE: u8 = 6;
const ROSTER: u8 = 7;
const ROSTER_GONE: u8 = 8;
const SEEN: u8 = 9;
const PORTS: u8 = 10;
const PORTS_BACK: u8 = 11;
const PORTS_ENDED: u8 = 12;
const FOLLOWS: u8 = 13;

/// A change out of the log, and when it was submitted.
pub(crate) type Item = (Duration, Change);

/// Writes changes, and when they were submitted, behind what is in `out`.
pub(crate) fn write(now: Duration, changes: &[Change], out: &mut Vec<u8>) {
    put_time(now, out);
    for change in changes {
        put(change, out);
    }
}

/// The same of leases.
pub(crate) fn write_leases(now: Duration, changes: &[LeaseChange], out: &mut Vec<u8>) {
    put_time(now, out);
    for change in changes {
        put_lease(change, out);
    }
}

/// Writes what no table of the server's holds: all but the leases that are kept, which may be any number.
pub(crate) fn write_rest<'a>(now: Duration, changes: impl Iterator<Item = &'a Change>, out: &mut Vec<u8>) {
    let kept = |change: &Change| {
        matches!(change, Change::Lease(LeaseChange::Put(_)) | Change::LeaseV4(v4::LeaseChange::Put(_)))
    };
    for change in changes.filter(|change| !kept(change)) {
        if out.is_empty() {
            put_time(now, out);
        }
        put(change, out);
    }
}

/// Writes where the frames before a segment end: at the beginning of its first one.
pub(crate) fn write_follows(before: Position, out: &mut Vec<u8>) {
    out.push(FOLLOWS);
    out.extend_from_slice(&before.segment.to_le_bytes());
    out.extend_from_slice(&before.offset.to_le_bytes());
}

/// Where the frames before this one's segment end, if it says so: before layout 7 none did.
pub(crate) fn follows(content: &[u8]) -> Option<Position> {
    let mut reader = Reader::new(content);
    (reader.byte()? == FOLLOWS).then(|| take_follows(&mut reader))?
}

fn take_follows(reader: &mut Reader<'_>) -> Option<Position> {
    Some(Position {
        segment: u64::from_le_bytes(reader.array()?),
        offset: u64::from_le_bytes(reader.array()?),
    })
}

fn put_time(now: Duration, out: &mut Vec<u8>) {
    out.push(TIME);
    octets::put_time(now, out);
}

/// One of them, without a time.
pub(crate) fn put_lease(change: &LeaseChange, out: &mut Vec<u8>) {
    match change {
        LeaseChange::Put(lease) => {
            out.push(LEASE);
            octets::put_lease(lease, out);
        }
        LeaseChange::Remove(resource) => {
            out.push(LEASE_GONE);
            octets::put_resource(*resource, out);
        }
    }
}

fn put(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::Lease(change) => put_lease(change, out),
        Change::Setting { key, value } => {
            out.push(if value.is_some() { SETTING } else { SETTING_GONE });
            octets::put_bytes(key.as_bytes(), out);
            if let Some(value) = value {
                octets::put_bytes(value, out);
            }
        }
        Change::LeaseV4(v4::LeaseChange::Put(lease)) => {
            out.push(LEASE_V4);
            out.extend_from_slice(&lease.address.octets());
            octets::put_bytes(lease.client.as_bytes(), out);
            out.push(lease.hardware.kind());
            octets::put_bytes(lease.hardware.address(), out);
            octets::put_bytes(lease.link.as_bytes(), out);
            octets::put_bytes(lease.state.name().as_bytes(), out);
            for time in [lease.valid_until, lease.granted_at, lease.renewed_at] {
                octets::put_time(time, out);
            }
            out.push(lease.hostname.is_some().into());
            octets::put_bytes(lease.hostname.as_deref().unwrap_or_default().as_bytes(), out);
        }
        Change::LeaseV4(v4::LeaseChange::Remove(address)) => {
            out.push(LEASE_V4_GONE);
            out.extend_from_slice(&address.octets());
        }
        Change::Roster(RosterChange::Put { place, member }) => {
            out.push(ROSTER);
            out.extend_from_slice(&place.0.to_le_bytes());
            out.push((*member).into());
        }
        Change::Roster(RosterChange::Remove(place)) => {
            out.push(ROSTER_GONE);
            out.extend_from_slice(&place.0.to_le_bytes());
        }
        Change::Seen(Sighting { address, mac, link, first, last }) => {
            out.push(SEEN);
            octets::put_bytes(address.to_string().as_bytes(), out);
            octets::put_bytes(mac.as_bytes(), out);
            octets::put_bytes(link.as_bytes(), out);
            for time in [*first, *last] {
                octets::put_time(time, out);
            }
        }
        Change::Ports(PortsChange::Given(block, at)) => put_block(PORTS, block, *at, out),
        Change::Ports(PortsChange::Back(block, at)) => put_block(PORTS_BACK, block, *at, out),
        Change::Ports(PortsChange::Ended(at)) => {
            out.push(PORTS_ENDED);
            octets::put_time(*at, out);
        }
    }
}

fn put_block(tag: u8, block: &Block, at: Duration, out: &mut Vec<u8>) {
    out.push(tag);
    octets::put_bytes(block.address.to_string().as_bytes(), out);
    out.extend_from_slice(&block.first.to_le_bytes());
    out.extend_from_slice(&block.last.to_le_bytes());
    octets::put_bytes(block.holder.to_string().as_bytes(), out);
    octets::put_time(at, out);
}

fn take_block(reader: &mut Reader<'_>) -> Option<(Block, Duration)> {
    let block = Block {
        address: reader.text()?.parse().ok()?,
        first: u16::from_le_bytes(reader.array()?),
        last: u16::from_le_bytes(reader.array()?),
        holder: reader.text()?.parse().ok()?,
    };
    Some((block, reader.time()?))
}

/// Shows each change of one frame, and its octets, for [`change`]; `None` where it holds something else.
pub(crate) fn each<'a>(content: &'a [u8], mut see: impl FnMut(Item, &'a [u8])) -> Option<()> {
    let mut reader = Reader::new(content);
    let mut now = Duration::ZERO;
    while !reader.is_empty() {
        let from = reader.rest();
        match reader.byte()? {
            TIME => now = reader.time()?,
            FOLLOWS => drop(take_follows(&mut reader)?),
            tag => {
                let change = take(tag, &mut reader)?;
                see((now, change), from.get(..from.len() - reader.rest().len())?);
            }
        }
    }
    Some(())
}

/// One change by its octets.
pub(crate) fn change(octets: &[u8]) -> Option<Change> {
    let mut reader = Reader::new(octets);
    let tag = reader.byte()?;
    take(tag, &mut reader)
}

fn take(tag: u8, reader: &mut Reader<'_>) -> Option<Change> {
    Some(match tag {
        LEASE => Change::Lease(LeaseChange::Put(reader.lease()?)),
        LEASE_GONE => Change::Lease(LeaseChange::Remove(reader.resource()?)),
        SETTING => Change::Setting { key: reader.text()?, value: Some(reader.bytes()?.to_vec()) },
        SETTING_GONE => Change::Setting { key: reader.text()?, value: None },
        LEASE_V4 => Change::LeaseV4(v4::LeaseChange::Put(v4::Lease {
            address: reader.array::<4>()?.into(),
            client: ClientId::new(reader.bytes()?).ok()?,
            hardware: {
                let kind = reader.byte()?;
                Hardware::new(kind, reader.bytes()?)?
            },
            link: reader.text()?.into(),
            state: LeaseState::from_name(&reader.text()?)?,
            valid_until: reader.time()?,
            granted_at: reader.time()?,
            renewed_at: reader.time()?,
            hostname: {
                let known = reader.byte()? != 0;
                Some(reader.text()?).filter(|_| known)
            },
        })),
        LEASE_V4_GONE => Change::LeaseV4(v4::LeaseChange::Remove(reader.array::<4>()?.into())),
        ROSTER => Change::Roster(RosterChange::Put {
            place: Place(u64::from_le_bytes(reader.array()?)),
            member: reader.byte()? != 0,
        }),
        ROSTER_GONE => Change::Roster(RosterChange::Remove(Place(u64::from_le_bytes(reader.array()?)))),
        SEEN => Change::Seen(Sighting {
            address: reader.text()?.parse().ok()?,
            mac: Mac::new(reader.bytes()?)?,
            link: reader.text()?.into(),
            first: reader.time()?,
            last: reader.time()?,
        }),
        PORTS | PORTS_BACK => {
            let (block, at) = take_block(reader)?;
            Change::Ports(if tag == PORTS {
                PortsChange::Given(block, at)
            } else {
                PortsChange::Back(block, at)
            })
        }
        PORTS_ENDED => Change::Ports(PortsChange::Ended(reader.time()?)),
        _ => return None,
    })
}
