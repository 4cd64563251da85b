//! Leases: who holds which address or prefix until when, and the table of all of them.

use crate::identity::{Identity, Key, Line, LinkLayer, Relay};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use crate::flight::Change;
pub use crate::table::LeaseTable;

/// A link (one LAN), by the name that the configuration gives it: that stays the same over restarts.
pub type LinkId = Arc<str>;

/// What is leased. Addresses sort before prefixes, each kind by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// An address of an IA_NA.
    Address(Ipv6Addr),
    /// A delegated prefix of an IA_PD; no bit is set beyond its length.
    Prefix(Ipv6Net),
}

/// The two kinds of identity association (RFC 9915 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IA_NA.
    Address,
    /// IA_PD.
    Prefix,
}

impl Resource {
    /// Which kind of association it belongs to.
    pub fn kind(self) -> Kind {
        match self {
            Self::Address(_) => Kind::Address,
            Self::Prefix(_) => Kind::Prefix,
        }
    }

    /// Its bits as a prefix: an address is its own /128.
    pub fn net(self) -> Ipv6Net {
        match self {
            Self::Address(address) => address.into(),
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// What tables of leases are asked by, several times for each message: an address takes one write.
impl Hash for Resource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.net().network().to_bits());
        if let Self::Prefix(net) = self {
            state.write_u8(net.prefix_len());
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

/// Text that is neither an address nor a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an IPv6 address, nor a prefix with its length and no bit set beyond it")]
pub struct ResourceError {
    /// What was given.
    pub text: String,
}

impl FromStr for Resource {
    type Err = ResourceError;

    /// Reads what [`Resource`] prints: a prefix has a slash, an address has none.
    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let error = || ResourceError { text: text.to_owned() };
        if text.contains('/') {
            let net: Ipv6Net = text.parse().map_err(|_| error())?;
            if net.trunc() == net { Ok(Self::Prefix(net)) } else { Err(error()) }
        } else {
            text.parse().map(Self::Address).map_err(|_| error())
        }
    }
}

/// How a lease stands. One that was released, or that expired, is in no state: it is removed. Its client finds the
/// same address again because allocation is derived from who asks (see [`crate::allocate`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// The client holds it.
    Bound,
    /// The client found it in use by another host (RFC 9915 section 18.3.8); nobody gets it until it ends.
    Declined,
    /// The client was told to stop using it, because its pool is gone. It may not have heard: nobody else gets it
    /// until the time the client was first promised.
    Retired,
    /// The client made the address up, or was given it by hand, and told the server (RFC 9686).
    Registered,
}

impl LeaseState {
    /// The word for it, as kept in stores and shown in views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Declined => "declined",
            Self::Retired => "retired",
            Self::Registered => "registered",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Bound, Self::Declined, Self::Retired, Self::Registered]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl fmt::Display for LeaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One address or prefix, and who holds it. All times are since the Unix epoch; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub resource: Resource,
    /// By what its pool knows its holder: see [`Lease::identity`].
    pub key: Key,
    /// The DUID with which the holder last asked.
    pub duid: Duid,
    /// The holder's number for the association.
    pub iaid: u32,
    /// Where the holder is.
    pub link: LinkId,
    /// How the lease stands.
    pub state: LeaseState,
    /// When it is preferred no longer.
    pub preferred_until: Duration,
    /// When it ends: for a bound lease the latest end that the client was ever told; for a declined one the end of its
    /// quarantine.
    pub valid_until: Duration,
    /// When this holder got it.
    pub granted_at: Duration,
    /// When the holder last asked for it.
    pub renewed_at: Duration,
    /// The name by which the holder wants to be known (RFC 4704), as it sent it: unchecked, and often not qualified.
    pub hostname: Option<String>,
    /// The holder's hardware address, and how the server came to know it.
    pub link_layer: Option<LinkLayer>,
    /// The holder's address on its link: that from which it sends, to the server or to the first relay agent. On a link
    /// of the server's own it is the next hop of the route to a delegated prefix.
    pub peer: Ipv6Addr,
    /// The line that the holder is on, where a relay agent named it.
    pub line: Option<Line>,
    /// The relay agent through which the holder asks; none where it is on a link of the server's own.
    pub relay: Option<Arc<Relay>>,
}

impl Lease {
    /// Who holds it. One whose key needs what it does not have (which no server makes) is held by its DUID.
    pub fn identity(&self) -> Identity {
        let mac = self.link_layer.map(|link_layer| link_layer.mac);
        Identity::of(self.key, &self.duid, mac, self.line.as_ref(), self.relay.as_deref())
            .unwrap_or_else(|| Identity::Duid(self.duid.clone()))
    }

    /// Whether it belongs to this association.
    pub fn is_held_by(&self, identity: &Identity, iaid: u32) -> bool {
        self.iaid == iaid && self.key == identity.key() && self.identity() == *identity
    }
}

/// A change of a lease, to make durable.
pub type LeaseChange = Change<Lease, Resource>;

impl LeaseChange {
    /// What it is about.
    pub fn resource(&self) -> Resource {
        match self {
            Self::Put(lease) => lease.resource,
            Self::Remove(resource) => *resource,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(resource: &str, client: u8, until: u64) -> Lease {
        Lease {
            resource: resource.parse().unwrap(),
            key: Key::Duid,
            duid: Duid::link_layer([2, 0, 0, 0, 0, client]),
            iaid: 1,
            link: "lan".into(),
            state: LeaseState::Bound,
            preferred_until: Duration::from_secs(until),
            valid_until: Duration::from_secs(until),
            granted_at: Duration::ZERO,
            renewed_at: Duration::ZERO,
            hostname: None,
            link_layer: None,
            peer: "fe80::1".parse().unwrap(),
            line: None,
            relay: None,
        }
    }

    #[test]
    fn resources_print_and_parse() {
        for text in ["2001:db8::7", "2001:db8:0:100::/56", "::/0"] {
            assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
        }
        for text in ["", "2001:db8::1/64", "2001:db8::/129", "10.0.0.1", "x"] {
            assert!(text.parse::<Resource>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_index_follows() {
        let mut table = LeaseTable::new();
        assert_eq!(table.put(lease("2001:db8::1", 1, 50)), None);
        table.put(lease("2001:db8::2", 1, 20));
        table.put(lease("2001:db8:0:100::/56", 1, 70));
        table.put(lease("2001:db8::3", 2, 10));
        let client = Identity::Duid(Duid::link_layer([2, 0, 0, 0, 0, 1]));
        assert_eq!(table.held(&client, 1, Kind::Address).count(), 2);
        assert_eq!(table.held(&client, 2, Kind::Address).count(), 0);
        assert_eq!(table.held_by(&client).count(), 3);
        assert_eq!(table.len_on("lan"), 4);
        assert_eq!(table.first_to_end().unwrap().resource.to_string(), "2001:db8::3");
        // Replaced, not doubled.
        let before = table.put(Lease { state: LeaseState::Declined, ..lease("2001:db8::1", 1, 5) });
        assert_eq!(before, Some(lease("2001:db8::1", 1, 50)));
        assert_eq!((table.len(), table.unbound()), (4, 1));
        assert_eq!(table.held(&client, 1, Kind::Address).count(), 1);
        assert_eq!(table.first_to_end().unwrap().resource.to_string(), "2001:db8::1");
        table.put(Lease { state: LeaseState::Registered, ..lease("2001:db8::4", 1, 30) });
        assert_eq!(
            (
                table.registered(),
                table.registered_by(&Duid::link_layer([2, 0, 0, 0, 0, 1])).count(),
                table.len_on("lan")
            ),
            (1, 1, 4)
        );
        assert_eq!(table.held_by(&client).count(), 2, "a registration is nothing that is held");
        for lease in table.clone().iter() {
            assert!(table.remove(lease.resource).is_some());
        }
        assert!(table.is_empty() && table.is_clean());
    }

    #[test]
    fn overlap_is_seen_from_within_and_without() {
        let mut table = LeaseTable::new();
        table.put(lease("2001:db8:0:100::/56", 1, 50));
        table.put(lease("2001:db8:0:200::/60", 1, 50));
        table.put(lease("2001:db8:0:300::7", 1, 50));
        for (net, expected) in [
            ("2001:db8::/48", 3),
            ("2001:db8:0:100::/56", 1),
            ("2001:db8:0:1ff::/64", 1),
            ("2001:db8:0:200::/59", 1),
            ("2001:db8:0:210::/60", 0),
            ("2001:db8::/56", 0),
            ("2001:db8:0:300::/64", 1),
            ("2001:db8:0:300::7/128", 1),
            ("2001:db8:0:300::8/128", 0),
            ("2001:db8:0:1ff::1/128", 1),
            ("::/0", 3),
        ] {
            assert_eq!(table.overlaps(net.parse().unwrap()).count(), expected, "{net}");
        }
    }
}
