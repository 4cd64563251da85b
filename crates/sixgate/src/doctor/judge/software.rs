//! Software below the floors of the list.

use super::super::software::{Floors, Software, is_below, version};
use super::{Finding, Seen, Severity};

pub(super) fn old(seen: &Seen) -> Vec<Option<Finding>> {
    let Some(floors) = Floors::read() else { return Vec::new() };
    seen.software.iter().map(|software| judge(&floors, software)).collect()
}

fn judge(floors: &Floors, software: &Software) -> Option<Finding> {
    let found = version(&software.version)?;
    if software.name == "kernel" {
        let kernel = &floors.kernel;
        let age = kernel.released(&found).map_or_else(
            || "older than any series on the list".to_owned(),
            |month| format!("its series came out in {month}"),
        );
        return is_below(&found, &kernel.floor).then(|| Finding {
            id: "old-kernel",
            severity: Severity::Warning,
            what: format!("this machine runs Linux {}", software.version),
            evidence: format!(
                "{age}; the list's floor is {} ({}): {}",
                kernel.floor, kernel.since, kernel.reason
            ),
            why: "nobody mends its holes any more, and queues, IPv6 and translation have become better since",
            remedy: "update the system, or ask its maker for one whose kernel is still mended",
        });
    }
    let floor = floors.of(&software.name)?;
    is_below(&found, &floor.floor).then(|| Finding {
        id: "old-software",
        severity: floor.severity,
        what: format!("{} {} runs on {}", software.name, software.version, software.runs),
        evidence: format!("the list's floor is {} ({}): {}", floor.floor, floor.since, floor.reason),
        why: "what is known to be wrong with old software is known to everybody, and hosts without IPv4 need what it lacks",
        remedy: "update it; where a distribution mends old versions, its changelog says whether this one is mended",
    })
}
