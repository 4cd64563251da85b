//! `sixgate doctor`: what is missing or wrong on a network that is somebody else's, and where its delay stands.
//!
//! [`observe`] asks, and changes nothing: no lease is taken, no address, no route. What it saw is data ([`seen::Seen`]); [`judge`] says what that
//! means, without a socket.

pub(crate) mod cli;
mod dhcp;
mod exchange;
mod judge;
mod local;
mod observe;
mod portal;
mod resolver;
mod routers;
mod seen;
mod shown;
mod software;
mod v4;

use crate::{Outcome, print};
use cli::{Arguments, FailOn};
use judge::{Finding, Place, Severity};
use seen::Seen;
use serde::Serialize;
use serde_json::json;

/// A finding, and whose it is.
#[derive(Debug, Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    /// The part of the way that is responsible; null where that cannot be seen from here.
    place: Option<Place>,
}

fn placed<'a>(findings: &'a [Finding], seen: &Seen) -> Vec<Placed<'a>> {
    findings.iter().map(|finding| Placed { finding, place: judge::responsible(finding, seen) }).collect()
}

/// Looks, judges, and tells.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let seen = match observe::observe(arguments) {
        Ok(seen) => seen,
        Err(error) => return error.told(),
    };
    let findings = judge::judge(&seen);
    let outcome = print(&if arguments.json {
        format!("{:#}\n", json!({ "seen": seen, "findings": placed(&findings, &seen) }))
    } else {
        shown::told(&seen, &placed(&findings, &seen))
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
