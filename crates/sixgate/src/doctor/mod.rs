//! `sixgate doctor`: what is missing or wrong on a network that is somebody else's, and where its delay stands.
//!
//! [`observe`] asks, and changes nothing: no lease is taken, no address, no route. What it saw is data ([`seen::Seen`]); [`judge`] says what that
//! means, without a socket.

pub(crate) mod cli;
mod dhcp;
mod exchange;
mod judge;
mod observe;
mod resolver;
mod routers;
mod seen;
mod shown;
mod v4;

use crate::{Outcome, print};
use cli::{Arguments, FailOn};
use judge::Severity;
use serde_json::json;

/// Looks, judges, and tells.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let seen = match observe::observe(arguments) {
        Ok(seen) => seen,
        Err(error) => return error.told(),
    };
    let findings = judge::judge(&seen);
    let outcome = print(&if arguments.json {
        format!("{:#}\n", json!({ "seen": seen, "findings": findings }))
    } else {
        shown::told(&seen, &findings)
    });
    let least = match arguments.fail_on {
        FailOn::Error => Some(Severity::Error),
        FailOn::Warning => Some(Severity::Warning),
        FailOn::Note => Some(Severity::Note),
        FailOn::Never => None,
    };
    let fails = least.is_some_and(|least| findings.iter().any(|finding| finding.severity >= least));
    if fails && outcome == Outcome::Done { Outcome::Failed } else { outcome }
}
