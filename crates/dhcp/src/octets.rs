//! Leases as octets, for logs on disk and for tables in memory: short, exact, and read with every bound checked.
//!
//! Numbers are little-endian. It is no protocol: whoever keeps it marks which version of sixgate's it is.

use crate::identity::{Key, Learnt, Line, LinkLayer, Mac, Relay};
use crate::lease::{Kind, Lease, LeaseState, LinkId, Resource};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// The length octet of an address, which no prefix has.
const ADDRESS: u8 = 0xff;

/// What a lease has beside its fixed part.
const HOSTNAME: u8 = 1 << 4;
const LINK_LAYER: u8 = 1 << 5;
const LINE: u8 = 1 << 6;
/// The peer is a link-local address: only its last 8 octets are there.
const LINK_LOCAL: u8 = 1 << 7;
/// In the table, where `LINK_LAYER` is in a log: the resource is an address, without the octet that says so.
const ALONE: u8 = LINK_LAYER;
/// In the table, the hardware address is the one in the peer's address; or in the DUID.
const IN_PEER: u8 = 1 << 3;
const IN_DUID: u8 = 1 << 4;

/// A second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

const STATES: [LeaseState; 4] =
    [LeaseState::Bound, LeaseState::Declined, LeaseState::Retired, LeaseState::Registered];
const KEYS: [Key; 3] = [Key::Duid, Key::Mac, Key::Line];

/// Appends a time: nanoseconds since the Unix epoch. What lies beyond the year 2554 is for ever.
pub fn put_time(time: Duration, out: &mut Vec<u8>) {
    out.extend_from_slice(&nanos(time).to_le_bytes());
}

/// Nanoseconds since the Unix epoch; the greatest number is for ever.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that [`nanos`] gave.
pub(crate) fn time(nanos: u64) -> Duration {
    if nanos == u64::MAX { Duration::MAX } else { Duration::from_nanos(nanos) }
}

/// Appends octets of any number.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // Nothing that is kept comes near it; what did would be cut, and noticed.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match u8::try_from(length) {
        Ok(length) if length < 0xff => out.push(length),
        _ => {
            out.push(0xff);
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// Appends a resource: 17 octets.
pub fn put_resource(resource: Resource, out: &mut Vec<u8>) {
    let (length, address) = match resource {
        Resource::Address(address) => (ADDRESS, address),
        Resource::Prefix(net) => (net.prefix_len(), net.network()),
    };
    out.push(length);
    out.extend_from_slice(&address.octets());
}

/// Appends all of a lease.
pub fn put_lease(lease: &Lease, out: &mut Vec<u8>) {
    put_most(lease, out);
    put_bytes(lease.link.as_bytes(), out);
    out.push(lease.relay.is_some().into());
    if let Some(relay) = &lease.relay {
        out.extend_from_slice(&relay.address.octets());
        out.extend_from_slice(&relay.link.octets());
        put_bytes(relay.id.as_ref().map(Duid::as_bytes).unwrap_or_default(), out);
    }
}

/// Where a lease is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// On disk: whole.
    Log,
    /// In memory, a million of them: what tells the rest is there once, and the end is at hand.
    Table,
}

/// Appends all of a lease but its link and its relay agent, which many leases share.
fn put_most(lease: &Lease, out: &mut Vec<u8>) {
    put_in(Form::Log, lease, out);
}

/// The same without the end either, and shorter: for the table, which has the end at hand.
pub(crate) fn put_kept(lease: &Lease, out: &mut Vec<u8>) {
    put_in(Form::Table, lease, out);
}

/// Appends a number: few octets if it is small, seven bits in each, the lowest first.
pub(crate) fn put_number(mut number: u128, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends how far one time is from another: few octets if they are near each other, or whole seconds apart.
fn put_distance(from: u64, to: u64, out: &mut Vec<u8>) {
    let distance = to.wrapping_sub(from).cast_signed();
    // Small numbers for small distances either way.
    let folded = |distance: i64| u128::from((distance << 1 ^ distance >> 63).cast_unsigned()) << 1;
    put_number(if distance % SECOND == 0 { folded(distance / SECOND) | 1 } else { folded(distance) }, out);
}

fn put_in(form: Form, lease: &Lease, out: &mut Vec<u8>) {
    let place = |all: &[LeaseState]| all.iter().position(|state| *state == lease.state).unwrap_or(0) as u8;
    let key = KEYS.iter().position(|key| *key == lease.key).unwrap_or(0) as u8;
    let peer = lease.peer.octets();
    let local = peer.first_chunk() == Some(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
    let flag = |flag, there: bool| if there { flag } else { 0 };
    out.push(
        place(&STATES)
            | key << 2
            | flag(HOSTNAME, lease.hostname.is_some())
            | match form {
                Form::Log => flag(LINK_LAYER, lease.link_layer.is_some()),
                Form::Table => flag(ALONE, lease.resource.kind() == Kind::Address),
            }
            | flag(LINE, lease.line.is_some())
            | flag(LINK_LOCAL, local),
    );
    match (form, lease.resource) {
        (Form::Table, Resource::Address(address)) => out.extend_from_slice(&address.octets()),
        (_, resource) => put_resource(resource, out),
    }
    out.extend_from_slice(&lease.iaid.to_le_bytes());
    match form {
        Form::Log => {
            for time in [lease.preferred_until, lease.valid_until, lease.granted_at, lease.renewed_at] {
                put_time(time, out);
            }
        }
        Form::Table => {
            let renewed_at = nanos(lease.renewed_at);
            put_distance(nanos(lease.valid_until), renewed_at, out);
            for time in [lease.granted_at, lease.preferred_until] {
                put_distance(renewed_at, nanos(time), out);
            }
        }
    }
    out.extend_from_slice(peer.get(if local { 8 } else { 0 }..).unwrap_or_default());
    put_bytes(lease.duid.as_bytes(), out);
    match form {
        Form::Log => {
            if let Some(LinkLayer { mac, learnt }) = &lease.link_layer {
                out.push(number_of(*learnt));
                put_bytes(mac.as_bytes(), out);
            }
        }
        Form::Table => put_near(lease, out),
    }
    if let Some(hostname) = &lease.hostname {
        put_bytes(hostname.as_bytes(), out);
    }
    if let Some(line) = &lease.line {
        for name in [line.interface_id(), line.remote_id(), line.subscriber_id()] {
            put_bytes(name.unwrap_or_default(), out);
        }
    }
}

/// How a hardware address became known, as a number.
fn number_of(learnt: Learnt) -> u8 {
    Learnt::ALL.iter().position(|other| *other == learnt).unwrap_or(0) as u8
}

/// Appends a lease's hardware address: one octet where it stands in the peer's address or in the DUID.
fn put_near(lease: &Lease, out: &mut Vec<u8>) {
    let Some(LinkLayer { mac, learnt }) = lease.link_layer else {
        out.push(0);
        return;
    };
    let known = 1 | number_of(learnt) << 1;
    if Mac::of_link_local(lease.peer) == Some(mac) {
        out.push(known | IN_PEER);
    } else if Mac::of_duid(&lease.duid) == Some(mac) {
        out.push(known | IN_DUID);
    } else {
        out.push(known);
        put_bytes(mac.as_bytes(), out);
    }
}

/// Reads what the functions of this module wrote. Whatever the octets are, it reads within them or gives `None`.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first octet on.
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many octets.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    /// One octet.
    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// A time.
    pub fn time(&mut self) -> Option<Duration> {
        self.array().map(|octets| time(u64::from_le_bytes(octets)))
    }

    /// Octets that [`put_bytes`] wrote.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            0xff => u32::from_le_bytes(self.array()?) as usize,
            length => usize::from(length),
        };
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Text that [`put_bytes`] wrote.
    pub fn text(&mut self) -> Option<String> {
        self.bytes().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
    }

    /// A resource.
    pub fn resource(&mut self) -> Option<Resource> {
        let length = self.byte()?;
        let address = self.array().map(Ipv6Addr::from_octets)?;
        if length == ADDRESS {
            return Some(Resource::Address(address));
        }
        let net = Ipv6Net::new(address, length).ok()?;
        (net.trunc() == net).then_some(Resource::Prefix(net))
    }

    /// A lease that [`put_lease`] wrote.
    pub fn lease(&mut self) -> Option<Lease> {
        let mut lease = self.most()?;
        lease.link = LinkId::from(std::str::from_utf8(self.bytes()?).ok()?);
        if self.byte()? != 0 {
            let (address, link) = (self.array()?.into(), self.array()?.into());
            let id = match self.bytes()? {
                [] => None,
                octets => Some(Duid::new(octets).ok()?),
            };
            lease.relay = Some(Arc::new(Relay { address, link, id }));
        }
        Some(lease)
    }

    /// What [`put_most`] wrote, with an empty link and no relay agent.
    fn most(&mut self) -> Option<Lease> {
        self.form(Form::Log, 0)
    }

    /// What [`put_kept`] wrote of a lease that ends then, likewise.
    pub(crate) fn kept(&mut self, end: u64) -> Option<Lease> {
        self.form(Form::Table, end)
    }

    /// The resource alone of what [`put_kept`] wrote.
    pub(crate) fn kept_resource(&mut self) -> Option<Resource> {
        let flags = self.byte()?;
        if flags & ALONE == 0 {
            self.resource()
        } else {
            self.array().map(|address| Resource::Address(address.into()))
        }
    }

    /// The key and the DUID alone of what [`put_kept`] wrote.
    pub(crate) fn kept_duid(&mut self) -> Option<(Key, &'a [u8])> {
        let flags = *self.0.first()?;
        let peer = if flags & LINK_LOCAL == 0 { 16 } else { 8 };
        self.kept_resource()?;
        // The IAID, three times, the peer.
        self.array::<4>()?;
        for _ in 0..3 {
            self.number()?;
        }
        self.0 = self.0.get(peer..)?;
        Some((*KEYS.get(usize::from(flags >> 2 & 3))?, self.bytes()?))
    }

    /// The number that [`put_number`] wrote.
    pub(crate) fn number(&mut self) -> Option<u128> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let octet = self.byte()?;
            number |= u128::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The time that [`put_distance`] told.
    fn distance(&mut self, from: u64) -> Option<u64> {
        let number = self.number()?;
        let folded = (number >> 1) as u64;
        let distance = folded >> 1 ^ 0_u64.wrapping_sub(folded & 1);
        Some(from.wrapping_add(if number & 1 == 0 { distance } else { distance.wrapping_mul(SECOND as u64) }))
    }

    /// The hardware address that [`put_near`] wrote, behind its first octet, which tells where it stands.
    fn near(&mut self, known: u8, peer: Ipv6Addr, duid: &Duid) -> Option<LinkLayer> {
        let mac = match known & (IN_PEER | IN_DUID) {
            IN_PEER => Mac::of_link_local(peer),
            IN_DUID => Mac::of_duid(duid),
            _ => Mac::new(self.bytes()?),
        };
        Some(LinkLayer { mac: mac?, learnt: *Learnt::ALL.get(usize::from(known >> 1 & 3))? })
    }

    /// A lease in either form; in the table's, one that ends at `end`.
    fn form(&mut self, form: Form, end: u64) -> Option<Lease> {
        let flags = *self.0.first()?;
        let resource = match form {
            Form::Table => self.kept_resource()?,
            Form::Log => {
                self.byte()?;
                self.resource()?
            }
        };
        let iaid = u32::from_le_bytes(self.array()?);
        let [preferred_until, valid_until, granted_at, renewed_at] = match form {
            Form::Log => [self.time()?, self.time()?, self.time()?, self.time()?],
            Form::Table => {
                let renewed_at = self.distance(end)?;
                let (granted_at, preferred_until) = (self.distance(renewed_at)?, self.distance(renewed_at)?);
                [preferred_until, end, granted_at, renewed_at].map(time)
            }
        };
        let peer = if flags & LINK_LOCAL == 0 {
            self.array()?.into()
        } else {
            Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(u64::from_be_bytes(self.array()?)))
        };
        let duid = Duid::new(self.bytes()?).ok()?;
        let link_layer = match form {
            Form::Table => match self.byte()? {
                0 => None,
                known => Some(self.near(known, peer, &duid)?),
            },
            Form::Log if flags & LINK_LAYER == 0 => None,
            Form::Log => {
                let learnt = *Learnt::ALL.get(usize::from(self.byte()?))?;
                Some(LinkLayer { mac: Mac::new(self.bytes()?)?, learnt })
            }
        };
        let hostname = if flags & HOSTNAME == 0 { None } else { Some(self.text()?) };
        let line = if flags & LINE == 0 {
            None
        } else {
            let (interface, remote, subscriber) = (self.bytes()?, self.bytes()?, self.bytes()?);
            let name = |name: &'a [u8]| Some(name).filter(|name| !name.is_empty());
            Some(Line::new(name(interface), name(remote), name(subscriber))?)
        };
        Some(Lease {
            resource,
            key: *KEYS.get(usize::from(flags >> 2 & 3))?,
            duid,
            iaid,
            link: LinkId::default(),
            state: *STATES.get(usize::from(flags & 3))?,
            preferred_until,
            valid_until,
            granted_at,
            renewed_at,
            hostname,
            link_layer,
            peer,
            line,
            relay: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> Vec<Lease> {
        let plain = Lease {
            resource: "2001:db8::7".parse().unwrap(),
            key: Key::Duid,
            duid: Duid::link_layer([2, 0, 0, 0, 0, 7]),
            iaid: 0x0102_0304,
            link: "lan".into(),
            state: LeaseState::Bound,
            preferred_until: Duration::new(5, 999_999_999),
            valid_until: Duration::MAX,
            granted_at: Duration::ZERO,
            renewed_at: Duration::from_nanos(123_456_789),
            hostname: None,
            link_layer: None,
            peer: "fe80::1:2".parse().unwrap(),
            line: None,
            relay: None,
        };
        let relay = |id| Relay { address: "2001:db8::1".parse().unwrap(), link: Ipv6Addr::UNSPECIFIED, id };
        let full = Lease {
            resource: "2001:db8:0:100::/56".parse().unwrap(),
            key: Key::Line,
            duid: Duid::new(&[9; 130]).unwrap(),
            link: "büro/2".into(),
            state: LeaseState::Registered,
            hostname: Some("ö".repeat(300)),
            link_layer: Some(LinkLayer { mac: Mac::new(&[1; 20]).unwrap(), learnt: Learnt::Eui64 }),
            peer: "2001:db8::5".parse().unwrap(),
            line: Line::new(Some(&[0; 255]), Some(&[1; 20]), Some(b"s")),
            relay: Some(Arc::new(relay(Some(Duid::new(&[1, 2, 3]).unwrap())))),
            ..plain.clone()
        };
        let partly = Lease {
            key: Key::Mac,
            state: LeaseState::Declined,
            hostname: Some(String::new()),
            line: Line::new(None, None, Some(b"x")),
            relay: Some(Arc::new(relay(None))),
            ..plain.clone()
        };
        let mac = Mac::new(&[2, 0, 0, 0, 0, 7]).unwrap();
        let in_duid = Lease { link_layer: Some(LinkLayer { mac, learnt: Learnt::Link }), ..plain.clone() };
        let in_peer = Lease { peer: "fe80::ff:fe00:7".parse().unwrap(), ..in_duid.clone() };
        let retired = Lease { state: LeaseState::Retired, ..partly.clone() };
        vec![plain, full, retired, partly, in_duid, in_peer]
    }

    #[test]
    fn leases_come_back() {
        let mut octets = Vec::new();
        for lease in leases() {
            put_lease(&lease, &mut octets);
        }
        let mut reader = Reader::new(&octets);
        let back: Vec<_> = std::iter::from_fn(|| reader.lease()).collect();
        assert_eq!(back, leases());
        assert!(reader.is_empty());
    }

    #[test]
    fn the_table_s_octets_hold_the_same() {
        let second = SECOND.cast_unsigned();
        let times = [0, 1, 63, second, 86_400 * second, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX].map(time);
        for lease in leases() {
            for renewed_at in times {
                for other in times {
                    let lease = Lease {
                        link: LinkId::default(),
                        relay: None,
                        renewed_at,
                        granted_at: other,
                        preferred_until: other,
                        ..lease.clone()
                    };
                    let mut octets = Vec::new();
                    put_kept(&lease, &mut octets);
                    assert_eq!(Reader::new(&octets).kept_resource(), Some(lease.resource));
                    let known = Some((lease.key, lease.duid.as_bytes()));
                    assert_eq!(Reader::new(&octets).kept_duid(), known);
                    let mut reader = Reader::new(&octets);
                    assert_eq!(reader.kept(nanos(lease.valid_until)), Some(lease));
                    assert!(reader.is_empty());
                }
            }
        }
        assert_eq!(Reader::new(&[0xff; 20]).distance(0), None, "a number without an end");
    }

    #[test]
    fn cut_or_changed_octets_are_read_within_their_bounds() {
        for lease in leases() {
            let mut octets = Vec::new();
            put_lease(&lease, &mut octets);
            for cut in 0..octets.len() {
                assert_eq!(Reader::new(&octets[..cut]).lease(), None, "cut at {cut}");
            }
            for place in 0..octets.len() {
                for value in [0, 0x7f, 0x80, 0xff] {
                    let mut changed = octets.clone();
                    changed[place] = value;
                    // Any lease, or none.
                    let _ = Reader::new(&changed).lease();
                }
            }
        }
    }
}
