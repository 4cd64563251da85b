//! Leases as messages name them: by association.

use super::binding::Binding;
use super::config::Config;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// An identity association of the client: its kind and IAID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Association {
    /// Addresses (IA_NA).
    Addresses(u32),
    /// Delegated prefixes (IA_PD).
    Prefixes(u32),
}

impl Config {
    /// Every association that is asked for.
    pub(super) fn associations(&self) -> impl Iterator<Item = Association> + '_ {
        let prefixes = self.ia_pd.iter().map(|request| Association::Prefixes(request.iaid));
        self.ia_na.map(Association::Addresses).into_iter().chain(prefixes)
    }
}

/// Addresses and prefixes, each with its IAID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Leases {
    pub(super) addresses: Vec<(u32, Ipv6Addr)>,
    pub(super) prefixes: Vec<(u32, Ipv6Net)>,
}

impl Leases {
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.prefixes.is_empty()
    }

    /// How many there are of an association.
    pub(super) fn count(&self, association: Association) -> usize {
        match association {
            Association::Addresses(iaid) => self.addresses.iter().filter(|(i, _)| *i == iaid).count(),
            Association::Prefixes(iaid) => self.prefixes.iter().filter(|(i, _)| *i == iaid).count(),
        }
    }
}

impl From<&Binding> for Leases {
    fn from(binding: &Binding) -> Self {
        Self {
            addresses: binding.addresses.iter().map(|a| (a.iaid, a.address)).collect(),
            prefixes: binding.prefixes.iter().map(|p| (p.iaid, p.prefix)).collect(),
        }
    }
}
