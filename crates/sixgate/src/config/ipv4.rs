//! `[ipv4]`: what becomes of the IPv4 of hosts that still need it.

use super::{Lan, Nat64, Reader, Uplink, file};
use sixgate_endpoint::nat64::Prefix;
use std::ops::Range;

/// How hosts that have IPv4 alone reach the IPv4 Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Internet {
    /// With the uplink's IPv4 address.
    Nat44,
    /// As IPv6, through the NAT64 of the ISP: the uplink needs no IPv4.
    Island,
    /// Not at all; LANs reach each other.
    None,
}

impl Internet {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nat44 => "nat44",
            Self::Island => "island",
            Self::None => "none",
        }
    }
}

/// IPv4 of the LANs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ipv4 {
    pub(crate) internet: Internet,
    /// The NAT64 of the ISP; `None`: the one that its router tells.
    pub(crate) pref64: Option<Prefix>,
}

impl Reader<'_> {
    /// A machine that is a NAT64 has IPv4 on its uplink; another one, of a network that is to be IPv6 alone, need not have it.
    pub(super) fn ipv4(
        &mut self,
        ipv4: toml::Spanned<file::Ipv4>,
        nat64: Option<&Nat64>,
        uplink: Option<&Uplink>,
        lans: &[(Lan, Range<usize>)],
        firewall: bool,
    ) -> Ipv4 {
        let section = ipv4.span();
        let ipv4 = ipv4.into_inner();
        let pref64 = ipv4.pref64.and_then(|text| self.translator_prefix(&text, "ipv4.pref64"));
        let default = if nat64.is_some() { Internet::Nat44 } else { Internet::Island };
        let span = ipv4.internet.as_ref().map_or(section.clone(), toml::Spanned::span);
        let internet = ipv4.internet.map_or(default, toml::Spanned::into_inner);
        if lans.is_empty() {
            self.warn(
                section,
                "ipv4",
                "there is no LAN whose IPv4 this could be",
                "add a [[lan]], or take [ipv4] out",
            );
        } else if uplink.is_none() && internet != Internet::None {
            self.warn(
                span,
                "ipv4.internet",
                format!("{} leads nowhere without an [uplink]", internet.word()),
                "add an [uplink], or set internet = \"none\"",
            );
        } else if internet == Internet::Nat44 && !firewall {
            self.warn(
                span,
                "ipv4.internet",
                "nothing hides the LANs' addresses behind the uplink's: firewall is off",
                "masquerade them in rules of your own, or set firewall = true",
            );
        } else if internet == Internet::Island && nat64.is_some() {
            self.warn(
                span,
                "ipv4.internet",
                "an island is for an uplink without IPv4, and [nat64] needs one that has it",
                "set internet = \"nat44\", or take [nat64] out",
            );
        }
        Ipv4 { internet, pref64 }
    }
}
