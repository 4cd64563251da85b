//! IPv4 leases: who holds which address until when, and the table of all of them.

use crate::lease::{Change, LeaseState, LinkId};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// One address, and who holds it. All times are since the Unix epoch; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub address: Ipv4Addr,
    /// Who holds it.
    pub client: ClientId,
    /// The holder's hardware address, as its last message told it.
    pub hardware: Hardware,
    /// Where the holder is.
    pub link: LinkId,
    /// [`LeaseState::Bound`]; [`LeaseState::Declined`] where the address was found in use by somebody else;
    /// [`LeaseState::Retired`] where its pool went and its holder got another, which it may not have heard.
    pub state: LeaseState,
    /// When it ends: for a bound lease the latest end that the client was ever told; for a declined one the
    /// end of its quarantine.
    pub valid_until: Duration,
    /// When this holder got it.
    pub granted_at: Duration,
    /// When the holder last asked for it.
    pub renewed_at: Duration,
    /// The name by which the holder wants to be known: letters, digits, hyphens, underscores and dots.
    pub hostname: Option<String>,
}

/// A change of a lease, to make durable.
pub type LeaseChange = Change<Lease, Ipv4Addr>;

impl LeaseChange {
    /// What it is about.
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Put(lease) => lease.address,
            Self::Remove(address) => *address,
        }
    }
}

/// All leases, found by address, by holder and by their end. A client holds at most one address on a link.
#[derive(Debug, Clone, Default)]
pub struct LeaseTable {
    leases: BTreeMap<Ipv4Addr, Lease>,
    /// Bound leases only: nobody extends the others.
    holders: BTreeMap<(LinkId, ClientId), Ipv4Addr>,
    ends: BTreeSet<(Duration, Ipv4Addr)>,
    declined: BTreeSet<(Duration, Ipv4Addr)>,
}

impl LeaseTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leases there are, in every state.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// All leases by address.
    pub fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// The leases from an address on.
    pub fn from(&self, address: Ipv4Addr) -> impl Iterator<Item = &Lease> {
        self.leases.range(address..).map(|(_, lease)| lease)
    }

    /// The lease of an address.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.leases.get(&address)
    }

    /// The bound lease of a client on a link.
    pub fn held(&self, link: &LinkId, client: &ClientId) -> Option<&Lease> {
        self.leases.get(self.holders.get(&(link.clone(), client.clone()))?)
    }

    /// The declined leases in the order in which they end.
    pub fn declined(&self) -> impl Iterator<Item = &Lease> {
        self.declined.iter().filter_map(|(_, address)| self.leases.get(address))
    }

    /// Puts a lease in place of what there is for its address, and returns that.
    pub fn put(&mut self, lease: Lease) -> Option<Lease> {
        let before = self.remove(lease.address);
        if lease.state == LeaseState::Bound {
            self.holders.insert((lease.link.clone(), lease.client.clone()), lease.address);
        } else if lease.state == LeaseState::Declined {
            self.declined.insert((lease.valid_until, lease.address));
        }
        self.ends.insert((lease.valid_until, lease.address));
        self.leases.insert(lease.address, lease);
        before
    }

    /// Takes the lease of an address out.
    pub fn remove(&mut self, address: Ipv4Addr) -> Option<Lease> {
        let lease = self.leases.remove(&address)?;
        let holder = (lease.link.clone(), lease.client.clone());
        if self.holders.get(&holder) == Some(&address) {
            self.holders.remove(&holder);
        }
        self.declined.remove(&(lease.valid_until, address));
        self.ends.remove(&(lease.valid_until, address));
        Some(lease)
    }

    /// Does what a change says.
    pub fn apply(&mut self, change: LeaseChange) -> Option<Lease> {
        match change {
            LeaseChange::Put(lease) => self.put(lease),
            LeaseChange::Remove(address) => self.remove(address),
        }
    }

    /// The leases in the order in which they end.
    pub fn by_end(&self) -> impl Iterator<Item = &Lease> {
        self.ends.iter().filter_map(|(_, address)| self.leases.get(address))
    }
}
