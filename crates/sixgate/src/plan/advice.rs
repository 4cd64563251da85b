//! Whether more than one server is needed, by the numbers.

use super::input::{Input, Scheme};

/// Exchanges a second that one server does, where nobody measured: a cautious assumption, to be replaced by a figure of one's own.
pub(super) const CAPACITY: u64 = 2_000;
/// A server that is asked no more than one part in so many of what it can do has room for a bad day.
const ROOM: u64 = 10;
/// Seconds within which all clients should be served after a power failure of the whole network.
const FLOOD: u64 = 300;
/// Leases that one server holds without thought for its memory.
const LEASES: u64 = 1_000_000;

/// What is advised, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// None where the number of clients is not known.
    pub(super) needed: Option<bool>,
    pub(super) verdict: String,
    pub(super) reasons: Vec<String>,
}

impl Advice {
    pub(super) fn new(input: &Input, capacity: u64) -> Self {
        // Lifetimes as `[[subnet]]` has them: preferred for half the time, renewed after half of that.
        let t1 = (input.lease / 4).max(1);
        let spared = input.lease - t1;
        let mut reasons = vec![format!(
            "clients renew after {} and keep what they have for {}: a server that is gone for less than {} costs nobody a lease. Only \
             who comes new waits until it is back, which takes seconds after a restart, for its leases are on disk",
            time(t1),
            time(input.lease),
            time(spared)
        )];
        let Some(clients) = input.clients else {
            reasons.push(
                "how many clients there are was not said (--clients): their load is not judged".to_owned(),
            );
            return Self {
                needed: None,
                verdict: "One server is often enough; tell how many clients there are to have it judged."
                    .to_owned(),
                reasons,
            };
        };
        let rate = clients.div_ceil(t1);
        let flood = clients.saturating_mul(2).div_ceil(capacity);
        reasons.push(format!(
            "{clients} clients make {rate} renewals a second at most: {} of the {capacity} that one server does (--capacity)",
            part(rate, capacity)
        ));
        reasons.push(format!(
            "after a power failure of the whole network, one server has served all of them within {}",
            time(flood)
        ));
        let mut against = Vec::new();
        if rate.saturating_mul(ROOM) > capacity {
            against.push("the renewals alone take more than a tenth of what one server does");
        }
        if flood > FLOOD {
            against.push("after a power failure some would wait longer than five minutes");
        }
        if clients > LEASES {
            against.push("more than a million leases in one server is more than it was made for");
        }
        let more = input.servers.len() > 1;
        if against.is_empty() {
            reasons.push(
                "more servers pay where they stand at different sites, or where those who come new cannot wait; else each of them is one \
                 more thing that fails"
                    .to_owned(),
            );
            let verdict = if more {
                "You do not need more than one server for this. The plan is laid out all the same."
            } else {
                "One server is enough. No failover, no load balancing."
            };
            return Self { needed: Some(false), verdict: verdict.to_owned(), reasons };
        }
        reasons.extend(against.into_iter().map(str::to_owned));
        let verdict = match (more, input.scheme) {
            (false, _) => "More than one server is worth its trouble: try --servers 2.",
            (true, Scheme::Divide) => {
                "More than one server is worth its trouble, and to divide the subnets is the simplest way."
            }
            (true, _) => {
                "More than one server is worth its trouble. Where the load is the reason, --scheme divide is simpler: in this one the \
                 preferred server does all the work while it is there."
            }
        };
        Self { needed: Some(true), verdict: verdict.to_owned(), reasons }
    }
}

fn part(of: u64, whole: u64) -> String {
    let thousandths = of.saturating_mul(1000) / whole.max(1);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// A time for a person.
fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
