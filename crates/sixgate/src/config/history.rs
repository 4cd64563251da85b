//! `[history]`: who had which address, and for how long that is remembered.

use super::{Reader, file};
use std::time::Duration;
use toml::Spanned;

/// How long a row is kept where the file says nothing, in seconds.
const RETENTION: u64 = 180 * 86_400;
/// Rows that are kept where the file says nothing: some 20 MB.
const ROWS: u32 = 100_000;

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct History {
    /// How long a row is kept after its end.
    pub(crate) retention: Duration,
    /// Most rows of each kind, beside leases that stand.
    pub(crate) rows: u32,
    /// Whether addresses that hosts made up are remembered too.
    pub(crate) seen: bool,
}

impl Reader<'_> {
    /// Leases are always remembered; the section alone lets what is seen be, too.
    pub(super) fn history(&mut self, history: Option<file::History>) -> History {
        let Some(history) = history else {
            return History { retention: Duration::from_secs(RETENTION), rows: ROWS, seen: false };
        };
        let most = 10 * 366 * 86_400;
        let retention = self.seconds(history.retention, "history.retention", RETENTION, 3_600, most);
        let rows = history.rows.map_or(ROWS, |rows| {
            if !(1_000..=100_000_000).contains(rows.get_ref()) {
                self.error(
                    rows.span(),
                    "history.rows",
                    format!("{} rows are not within the bounds", rows.get_ref()),
                    "choose 1000 to 100000000; a row takes some 200 octets on the disk",
                );
            }
            Spanned::into_inner(rows)
        });
        History { retention, rows, seen: history.seen.unwrap_or(true) }
    }
}
