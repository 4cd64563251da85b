//! What the DHCPv6 relay agent does.

use super::{columns, seconds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The relay agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) servers: Vec<RelayServer>,
    /// Prefixes that servers delegated through us.
    pub(crate) delegations: Vec<Delegation>,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// A server, or a group of them, and what passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayServer {
    pub(crate) server: String,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
}

/// A prefix that is routed to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delegation {
    pub(crate) prefix: String,
    pub(crate) lan: String,
    /// The next hop.
    pub(crate) via: String,
    pub(crate) duid: String,
    /// Seconds left; `None` is for ever.
    pub(crate) valid: Option<u64>,
}

impl Relay {
    pub(super) fn table(&self, out: &mut String) {
        let _ = writeln!(out, "\ndhcpv6 relay");
        let rows: Vec<[String; 4]> = (self.servers.iter())
            .map(|s| {
                [
                    "server".to_owned(),
                    s.server.clone(),
                    format!("sent {}", s.sent),
                    format!("delivered {}", s.delivered),
                ]
            })
            .collect();
        *out += &columns(&rows);
        let rows: Vec<[String; 5]> = (self.delegations.iter())
            .map(|d| {
                let (via, valid) =
                    (format!("via {} {}", d.via, d.lan), format!("valid {}", seconds(d.valid)));
                ["prefix".to_owned(), d.prefix.clone(), via, valid, d.duid.clone()]
            })
            .collect();
        *out += &columns(&rows);
        let shown: Vec<String> =
            self.counters.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        if !shown.is_empty() {
            let _ = writeln!(out, "  {}", shown.join(", "));
        }
    }
}
