//! Whether each family works.

use super::columns;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Whether each family works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) ipv6: Way,
    pub(crate) ipv4: Way,
    /// None where there is no NAT64.
    pub(crate) nat64: Option<Way>,
    pub(crate) router: Option<FirstRouter>,
    pub(crate) checks: Vec<Check>,
    /// How often all were asked.
    pub(crate) rounds: u64,
}

/// A way to the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// unknown, ok, slow, broken, hidden (IPv6 is broken and IPv4 works), down (there is no way), none (and none is missed).
    pub(crate) state: String,
    pub(crate) why: String,
    /// Until the nearest who was asked answers.
    pub(crate) milliseconds: Option<f64>,
}

/// The first router for IPv6, and whether it answers Neighbor Solicitations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FirstRouter {
    pub(crate) address: String,
    pub(crate) answers: Option<bool>,
}

/// Somebody who is probed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) who: String,
    pub(crate) ipv6: Option<Leg>,
    pub(crate) ipv4: Option<Leg>,
    pub(crate) nat64: Option<Leg>,
    /// Why it is not probed.
    pub(crate) note: Option<String>,
}

/// Somebody over one way; `state` as in [`Way`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) state: String,
    pub(crate) milliseconds: Option<f64>,
    pub(crate) error: Option<String>,
}

impl Health {
    pub(super) fn table(&self, out: &mut String) {
        let ways = [("ipv6", Some(&self.ipv6)), ("ipv4", Some(&self.ipv4)), ("nat64", self.nat64.as_ref())];
        let _ = writeln!(out, "\nhealth");
        let rows: Vec<[String; 3]> = (ways.into_iter())
            .filter_map(|(name, way)| Some([name.to_owned(), way?.state.clone(), way?.why.clone()]))
            .collect();
        *out += &columns(&rows);
        let leg = |name: &str, leg: &Option<Leg>| match leg {
            None => String::new(),
            Some(Leg { state, milliseconds: Some(time), .. }) => format!("{name} {state} {time:.1} ms"),
            Some(Leg { state, .. }) => format!("{name} {state}"),
        };
        let rows: Vec<[String; 5]> = (self.checks.iter())
            .map(|check| {
                let legs = [("ipv6", &check.ipv6), ("ipv4", &check.ipv4), ("nat64", &check.nat64)];
                let [ipv6, ipv4, nat64] = legs.map(|(name, of)| leg(name, of));
                [check.who.clone(), ipv6, ipv4, nat64, check.note.clone().unwrap_or_default()]
            })
            .collect();
        *out += &columns(&rows);
    }
}
