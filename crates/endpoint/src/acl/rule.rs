//! What a list is made of: [`Verdict`], [`Prefix`], [`Rule`].

use crate::{Endpoint, Family, Zone};
use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;

/// What a list says of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The peer may.
    Allow,
    /// The peer may not.
    Deny,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// The network of a prefix, and IPv4 where it is one of mapped addresses (RFC 4291 section 2.5.5.2).
pub(super) fn canonical(net: IpNet) -> IpNet {
    let net = net.trunc();
    if let IpNet::V6(v6) = net
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Some(address) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(address, length)
    {
        return v4.into();
    }
    net
}

/// A prefix of one family, on one link where it has a zone.
///
/// A prefix of mapped addresses (`::ffff:192.0.2.0/120`) is the IPv4 prefix that it stands for
/// (`192.0.2.0/24`). Bits behind the length are zero. Printed as RFC 4007 section 11.7 has it,
/// `fe80::%eth0/10`; a single address without its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    net: IpNet,
    zone: Option<Zone>,
}

impl Prefix {
    /// A prefix on any link. An address is a prefix too, of its full length.
    pub fn new(net: impl Into<IpNet>) -> Self {
        Self { net: canonical(net.into()), zone: None }
    }

    /// The same on one link; `None` where not all of its addresses are of a scope that has zones (link-local,
    /// for one).
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Option<Self> {
        self.has_zones().then_some(Self { zone: Some(zone), ..self })
    }

    /// The addresses.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// The link.
    pub fn zone(&self) -> Option<Zone> {
        self.zone
    }

    /// The family: the only one whose peers the prefix holds.
    pub fn family(&self) -> Family {
        match self.net {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// Whether all addresses are of scopes that have zones. Those scopes are whole blocks, and no block of
    /// two scopes begins and ends with one of them.
    pub(super) fn has_zones(&self) -> bool {
        Endpoint::from(self.net.network()).has_zones() && Endpoint::from(self.net.broadcast()).has_zones()
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        Self::new(net)
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.net.addr().to_string();
        if let Some(zone) = self.zone {
            text.push('%');
            text.push_str(&zone.to_string());
        }
        if self.net.prefix_len() < self.net.max_prefix_len() {
            text.push('/');
            text.push_str(&self.net.prefix_len().to_string());
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A verdict on the peers of one prefix or several.
///
/// Written `allow 192.0.2.0/24, 2001:db8::/32`. The [module's page](super) has the grammar.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    verdict: Verdict,
    prefixes: Box<[Prefix]>,
}

impl Rule {
    /// A rule; `None` without a prefix, since it would mean nothing.
    pub fn new<P: Into<Prefix>>(verdict: Verdict, prefixes: impl IntoIterator<Item = P>) -> Option<Self> {
        let prefixes: Box<[Prefix]> = prefixes.into_iter().map(Into::into).collect();
        (!prefixes.is_empty()).then_some(Self { verdict, prefixes })
    }

    /// What it says.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Of whom.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        for (place, prefix) in self.prefixes.iter().enumerate() {
            write!(f, "{} {prefix}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
