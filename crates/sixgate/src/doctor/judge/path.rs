//! Delay and loss on the way: where they first show.

use super::place::between;
use super::{BLOAT_MS, Finding, Place, Seen, Severity};
use crate::measure::path::Traced;
use sixgate_measure::path::Losing;

/// Packets lost that are told of, in per cent: of the 25 that each hop is asked, three.
const LOSS_PERCENT: f64 = 12.0;
/// That are a fault, and not only worth a warning.
const BAD_PERCENT: f64 = 25.0;

/// Where packets are lost that a standing queue does not explain.
pub(super) fn losing(seen: &Seen) -> Option<Losing> {
    let path = seen.path.as_ref()?;
    // A short buffer drops much of what our own load brings: that is how flows learn their rate.
    let least = if seen.loaded { BAD_PERCENT } else { LOSS_PERCENT };
    let losing = sixgate_measure::path::losing(&path.hops, least)?;
    let queue = path.standing.as_ref().is_some_and(|standing| standing.before == losing.before);
    (!queue).then_some(losing)
}

/// Whether most of a wait before the first hop is in this machine's own queue.
pub(super) fn is_here(seen: &Seen, wait_ms: f64) -> bool {
    seen.local.as_ref().and_then(|local| local.wait_ms).is_some_and(|here| here >= wait_ms / 2.0)
}

/// A hop as evidence.
fn hop(path: &Traced, number: u8) -> String {
    let found = path.hops.iter().find(|hop| hop.number == number);
    let from = found.and_then(|hop| hop.from.clone()).unwrap_or_else(|| "this machine".to_owned());
    let times = found.and_then(|hop| hop.rtt_ms.as_ref());
    times.map_or(from.clone(), |rtt| format!("{from} ({:.0} to {:.0} ms)", rtt.min, rtt.p95))
}

/// What this machine's own queue says to it.
fn here(seen: &Seen) -> String {
    let Some(local) = &seen.local else { return String::new() };
    let driver = local.bql.as_ref().map_or_else(
        || ", and its driver limits nothing before that (no BQL)".to_owned(),
        |bql| format!(", and up to {} octets in its driver (BQL's limit: {})", bql.inflight, bql.limit),
    );
    if local.octets == 0.0 {
        return format!("; the queue of {} itself ({}) is empty{driver}", seen.interface, local.kind);
    }
    let wait = local.wait_ms.map_or_else(String::new, |wait| format!(", {wait:.0} ms of them"));
    format!(
        "; in the queue of {} itself ({}) stand {:.0} octets{wait}{driver}",
        seen.interface, local.kind, local.octets
    )
}

pub(super) fn bloat(seen: &Seen) -> Option<Finding> {
    let path = seen.path.as_ref()?;
    let standing = path.standing.as_ref()?;
    let own = standing.after == 0 && is_here(seen, standing.wait_ms);
    let place = match between(seen, path, standing.after, standing.before) {
        _ if own => format!("in this machine's own queue, on {}", seen.interface),
        Place::Client | Place::Lan => "on this link, before the first router".to_owned(),
        Place::Access if standing.after <= 1 => {
            "on the line behind the first router, which is the ISP's or the modem's".to_owned()
        }
        _ => format!("between hop {} and hop {}", standing.after, standing.before),
    };
    Some(Finding {
        id: "queue",
        severity: if standing.wait_ms >= BLOAT_MS { Severity::Error } else { Severity::Warning },
        what: format!("packets wait {:.0} ms {place}", standing.wait_ms),
        evidence: format!(
            "round trips on the way to {}: {}, then {}{}{}",
            path.to,
            hop(path, standing.after),
            hop(path, standing.before),
            if seen.loaded { ", under our own load" } else { ", under the load that there was" },
            here(seen)
        ),
        why: "a full buffer delays all that passes it: calls break up, pages and names take seconds (bufferbloat)",
        remedy: if own {
            "give this interface a queue that keeps it short (`tc qdisc replace dev NAME root fq_codel`; below the driver's rate, `sixgate shape`)"
        } else {
            "shape just below the line's rate with a queue that keeps it short (CAKE, fq_codel, `sixgate shape`) on the router before that hop; `sixgate measure rrul` shows before and after"
        },
    })
}

pub(super) fn loss(seen: &Seen) -> Option<Finding> {
    let losing = losing(seen)?;
    let path = seen.path.as_ref()?;
    let answered = |number: u8| {
        let hop = path.hops.iter().find(|hop| hop.number == number);
        hop.map_or_else(
            || "this machine".to_owned(),
            |hop| {
                format!("{} answered {} of {}", hop.from.as_deref().unwrap_or("hop"), hop.answered, hop.sent)
            },
        )
    };
    Some(Finding {
        id: "loss",
        severity: if losing.percent >= BAD_PERCENT { Severity::Error } else { Severity::Warning },
        what: format!(
            "{:.0} % of packets are lost between hop {} and hop {}",
            losing.percent, losing.after, losing.before
        ),
        evidence: format!(
            "on the way to {}: {}, then {}, and no hop behind it more{}",
            path.to,
            answered(losing.after),
            answered(losing.before),
            here(seen)
        ),
        why: "every connection slows down to what a lossy path carries, and calls have gaps",
        remedy: "on a wireless link look at signal and channel; on a cable swap it and look at error counters (`ip -s link`); on a line of the ISP's tell him the hop",
    })
}
