//! `[census]`: who on the LANs could live without IPv4, and what is kept of them.

use super::{Reader, file};
use sixgate_dhcp::v4::census::Privacy;
use std::time::Duration;

/// How long a client is remembered where the file names no time, in seconds.
const RETENTION: u64 = 14 * 86_400;

/// A census is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Census {
    /// What is kept of who a client is.
    pub(crate) privacy: Privacy,
    /// How long a client is remembered after it was last seen.
    pub(crate) retention: Duration,
}

impl Reader<'_> {
    /// The section alone is enough; `enabled = false` is as if it were not there.
    pub(super) fn census(&mut self, census: file::Census) -> Option<Census> {
        let retention = self.seconds(census.retention, "census.retention", RETENTION, 3_600, 400 * 86_400);
        let privacy = match census.privacy.unwrap_or(file::Privacy::Hashed) {
            file::Privacy::Hashed => Privacy::Hashed,
            file::Privacy::Named => Privacy::Named,
        };
        census.enabled.unwrap_or(true).then_some(Census { privacy, retention })
    }
}
