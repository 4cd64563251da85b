//! Who asks: what a policy may go by.

use super::Server;
use super::clones::Station;
use super::config::Link;
use super::message::Association;
use super::relayed::Chain;
use super::served::Served;
use crate::identity::{Identity, Key, Learnt, Line, LinkLayer, Mac, Relay};
use crate::lease::Lease;
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, OptionCode, RelayMessage, VendorData};
use smallvec::SmallVec;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// Leases of one DUID that are looked at for those of other machines: where hardware addresses are the key, one host can make
/// up as many as it likes under one DUID.
const MOST_LOOKED_AT: usize = 64;

/// The client behind a message: who it is, where it is, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// The time.
    pub now: Duration,
    /// The link that the client is on.
    pub link: &'a Link,
    /// What the client says; its checks are done.
    pub message: Message<'a>,
    /// Its DUID. Only an Information-request may have none.
    pub duid: Option<&'a Duid>,
    /// The address from which it sends: link-local, but for a registration.
    pub peer: Ipv6Addr,
    /// What is known of its hardware address, by the way in which it became known, in the order of [`Learnt::ALL`].
    pub macs: [Option<Mac>; Learnt::ALL.len()],
    /// The line that it is on, where a relay agent named it.
    pub line: Option<Line>,
    /// The relay agent through which it asks; none on a link of the server's own.
    pub relay: Option<Arc<Relay>>,
    /// What each relay agent said, the agent nearest to the server first.
    pub hops: &'a [RelayMessage<'a>],
    /// The name by which it wants to be known, unchecked.
    pub hostname: Option<String>,
}

impl<'a> Asker<'a> {
    /// Gathers what a message and its way here tell.
    pub(super) fn new(
        now: Duration,
        link: &'a Link,
        chain: &'a Chain<'a>,
        (source, seen): (Ipv6Addr, Option<&[u8]>),
        duid: Option<&'a Duid>,
        relay: Option<Arc<Relay>>,
    ) -> Self {
        let peer = chain.peer(source);
        let direct = chain.hops.is_empty();
        let macs = Learnt::ALL.map(|learnt| match learnt {
            Learnt::Link => seen.filter(|_| direct).and_then(Mac::new),
            Learnt::Relay => chain.link_layer(),
            Learnt::Eui64 => Mac::of_link_local(peer),
            Learnt::Duid => duid.and_then(Mac::of_duid),
        });
        Self {
            now,
            link,
            message: chain.message,
            duid,
            peer,
            macs,
            line: chain.line(),
            relay,
            hops: &chain.hops,
            hostname: None,
        }
    }

    /// The hardware address that is worth most of those that pass.
    fn best(&self, passes: impl Fn(Learnt) -> bool) -> Option<LinkLayer> {
        let all = Learnt::ALL.into_iter().zip(self.macs).filter(|(learnt, _)| passes(*learnt));
        all.map(|(learnt, mac)| mac.map(|mac| LinkLayer { mac, learnt })).find(Option::is_some).flatten()
    }

    /// Its hardware address, as far as it is known at all: for people to look at.
    pub fn link_layer(&self) -> Option<LinkLayer> {
        self.best(|_| true)
    }

    /// Its hardware address, if it is known in a way that its link trusts ([`Link::trust`]): for anything that is decided
    /// by it.
    pub fn trusted(&self) -> Option<LinkLayer> {
        self.best(|learnt| self.link.trust.contains(&learnt))
    }

    /// What made the client (RFC 9915 section 21.16).
    pub fn vendor_classes(&self) -> impl Iterator<Item = VendorData<'a>> + use<'a> {
        self.message.options().iter().filter_map(|option| match option {
            DhcpOption::VendorClass(vendor) => Some(vendor),
            _ => None,
        })
    }

    /// The classes that the client says it belongs to (RFC 9915 section 21.15); what is cut short ends them.
    pub fn user_classes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.message.options().get(OptionCode::USER_CLASS).unwrap_or_default();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (class, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            rest = after;
            Some(class)
        })
    }
}

/// Whether a hardware address that is known in this way is that of the machine that sends.
fn shown(learnt: Learnt) -> bool {
    matches!(learnt, Learnt::Link | Learnt::Relay)
}

/// A client by what its link knows it by.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) asker: &'a Asker<'a>,
    pub(super) duid: &'a Duid,
    pub(super) identity: Identity,
    /// What its leases say of its hardware: where they are kept by it, that which they are kept by.
    pub(super) link_layer: Option<LinkLayer>,
    /// What the policy says of it.
    pub(super) served: Served<'a>,
}

impl<'a> std::ops::Deref for Claim<'a> {
    type Target = Asker<'a>;

    fn deref(&self) -> &Asker<'a> {
        self.asker
    }
}

impl<'a> Claim<'a> {
    /// None where the link does not know the client by what it goes by.
    pub(super) fn new(asker: &'a Asker<'a>, duid: &'a Duid, served: Served<'a>) -> Option<Self> {
        let key = asker.link.key;
        let link_layer = if key == Key::Mac { asker.trusted() } else { asker.link_layer() };
        let mac = link_layer.map(|found| found.mac);
        let identity = Identity::of(key, duid, mac, asker.line.as_ref(), asker.relay.as_deref())?;
        Some(Self { asker, duid, identity, link_layer, served })
    }

    /// Whom the link would take the client for, had it another key: that is how a lease is kept which was given before
    /// the key was changed.
    fn others(&self) -> impl Iterator<Item = Identity> {
        let of = |key, mac| Identity::of(key, self.duid, mac, self.line.as_ref(), self.relay.as_deref());
        let macs = self.trusted().map(|found| found.mac);
        let all = [of(Key::Duid, None), of(Key::Mac, macs), of(Key::Line, None)];
        all.into_iter().flatten().filter(|other| *other != self.identity)
    }
}

impl Server {
    /// What comes to an association that holds nothing:
    /// - what its client held by another key, before the key was changed;
    /// - what was moved to the client, which has not asked for it since;
    /// - where the key is not the DUID: what another DUID holds, since that machine, or the one on that line, is this one
    ///   now. Of several associations it is the first.
    pub(super) fn inherited(&self, claim: &Claim<'_>, ia: &Association) -> SmallVec<[Lease; 1]> {
        let fits = |lease: &Lease| lease.link == claim.link.name && lease.resource.kind() == ia.kind;
        for other in claim.others() {
            let held: SmallVec<[Lease; 1]> = self.table.held(&other, ia.iaid, ia.kind).filter(fits).collect();
            if !held.is_empty() {
                return held;
            }
        }
        let passes = |lease: &Lease| {
            let moved = lease.renewed_at < lease.granted_at;
            moved || (lease.key != Key::Duid && lease.duid != *claim.duid)
        };
        let mut left = self.table.held_by(&claim.identity).filter(fits).filter(passes);
        let Some(first) = left.next() else { return SmallVec::new() };
        let iaid = first.iaid;
        std::iter::once(first).chain(left.filter(|lease| lease.iaid == iaid)).collect()
    }

    /// What an association holds on its link, or inherits there.
    pub(super) fn holdings(&self, claim: &Claim<'_>, ia: &Association) -> SmallVec<[Lease; 1]> {
        let held = self.table.held(&claim.identity, ia.iaid, ia.kind);
        let held: SmallVec<[Lease; 1]> = held.filter(|lease| lease.link == claim.link.name).collect();
        if held.is_empty() { self.inherited(claim, ia) } else { held }
    }

    /// Sees whether other machines ask with this client's DUID: the same association, of the same DUID, was another station's.
    pub(super) fn look_for_clones(&mut self, claim: &Claim<'_>, ia: &Association) {
        let mac = claim.best(shown).map(|found| found.mac);
        let stations = |lease: &Lease| {
            let before = lease.link_layer.filter(|found| shown(found.learnt)).map(|found| found.mac);
            // A hardware address may be known of one message and not of the next.
            match (before, mac) {
                (Some(before), Some(now)) => (Station::Mac(before), Station::Mac(now)),
                _ => (Station::Address(lease.peer), Station::Address(claim.peer)),
            }
        };
        let other = (self.table.of_duid(claim.duid))
            .take(MOST_LOOKED_AT)
            .filter(|lease| (lease.iaid, lease.resource.kind()) == (ia.iaid, ia.kind))
            .filter(|lease| lease.link == claim.link.name && !lease.peer.is_unspecified())
            .map(|lease| stations(&lease))
            .find(|(before, now)| before != now);
        if let Some((before, now)) = other {
            let proof = self.clones.note(claim.now, (&claim.link.name, claim.duid), before, now);
            self.counters.clones = self.counters.clones.saturating_add(u64::from(proof));
        }
    }

    /// Whether something of the association, or something that it is about to inherit, is on its way to the disk.
    pub(super) fn is_committing(&self, claim: &Claim<'_>, ia: &Association) -> bool {
        self.flight.concerns(&(claim.identity.clone(), ia.iaid, ia.kind))
            || (!self.table.holds(&claim.identity, ia.iaid, ia.kind)
                && self.inherited(claim, ia).iter().any(|lease| self.flight.is_about(lease.resource)))
    }
}
