//! Names in the zones of a DNS server that takes updates.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What `sixgate status` shows of `[ddns]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ddns {
    pub(crate) zone: String,
    pub(crate) server: String,
    /// Whether updates are signed.
    pub(crate) signed: bool,
    /// Addresses whose names the zone holds as wanted.
    pub(crate) names: u64,
    /// Addresses for which something is to be done yet.
    pub(crate) pending: u64,
    /// Why the last update failed.
    pub(crate) trouble: Option<String>,
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Ddns {
    pub(super) fn table(&self, out: &mut String) {
        let signed = if self.signed { "signed" } else { "not signed" };
        let _ = writeln!(
            out,
            "\nddns {} at {} ({signed}) names {} pending {}",
            self.zone, self.server, self.names, self.pending
        );
        let shown: Vec<String> =
            self.counters.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        if !shown.is_empty() {
            let _ = writeln!(out, "  {}", shown.join(", "));
        }
    }
}
