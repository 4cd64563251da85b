//! `[health]`: whether each family works, and who is asked.

use super::{Reader, file};
use sixgate_endpoint::Host;
use std::str::FromStr as _;
use std::time::Duration;

/// Most targets: each is asked over up to three ways at once.
const MOST_TARGETS: usize = 8;
/// By how much IPv6 may be slower than IPv4 where the file does not say, in milliseconds. Happy Eyeballs gives it 250 (RFC 8305
/// section 8): before that it is still used, and felt.
const SLOW: u64 = 100;

/// Who is asked, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Asked over every family that they have. Empty: nobody but the ISP's router and the resolvers.
    pub(crate) targets: Vec<Host>,
    pub(crate) interval: Duration,
    /// By how much IPv6 may be slower than IPv4.
    pub(crate) slow: Duration,
}

impl Reader<'_> {
    /// None where it is switched off.
    pub(super) fn health(&mut self, health: file::Health) -> Option<Health> {
        let mut targets = Vec::new();
        for text in health.targets.unwrap_or_default() {
            match Host::from_str(text.get_ref()) {
                Ok(_) if targets.len() == MOST_TARGETS => self.error(
                    text.span(),
                    "health.targets",
                    format!("more than {MOST_TARGETS} targets"),
                    "name a few that have both families and that you depend on",
                ),
                Ok(host) => targets.push(host),
                Err(error) => {
                    let remedy = "write a name, such as www.example.com or www.example.com:80; 443 where no port is written";
                    self.error(text.span(), "health.targets", error.what(), remedy);
                }
            }
        }
        let interval = self.seconds(health.interval, "health.interval", 60, 5, 3600);
        let slow = Duration::from_millis(health.slow_ms.unwrap_or(SLOW));
        health.enabled.unwrap_or(true).then_some(Health { targets, interval, slow })
    }
}
