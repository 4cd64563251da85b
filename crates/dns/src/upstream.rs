//! The resolvers to ask, and which of them next.

use core::time::Duration;
use sixgate_endpoint::Endpoint;

/// Wait for the first answer of an upstream whose pace is not known.
const FIRST_WAIT: Duration = Duration::from_millis(600);
const MIN_WAIT: Duration = Duration::from_millis(200);
const MAX_WAIT: Duration = Duration::from_secs(2);
/// A pace worse than this is not told apart.
const MAX_RTT: Duration = Duration::from_secs(10);
/// One question in this many goes to another than the fastest, so that one that has recovered is found again.
const EXPLORE: u32 = 32;

#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    pub(crate) address: Endpoint,
    /// Smoothed round-trip time and its variation (RFC 6298 section 2).
    pace: Option<(Duration, Duration)>,
    /// It was asked for signatures that exist, and gave none.
    strips: bool,
}

impl Upstream {
    fn wait(&self) -> Duration {
        match self.pace {
            None => FIRST_WAIT,
            Some((rtt, variation)) => (rtt + variation * 4).clamp(MIN_WAIT, MAX_WAIT),
        }
    }

    fn rank(&self) -> (bool, Duration) {
        // One that is not known yet is tried before those that are.
        let pace = self.pace.map_or(Duration::ZERO, |(rtt, variation)| rtt + variation);
        (self.strips, pace)
    }
}

/// All upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    list: Vec<Upstream>,
}

impl Upstreams {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn replace(&mut self, addresses: &[Endpoint]) {
        let mut list: Vec<Upstream> = Vec::with_capacity(addresses.len());
        for address in addresses {
            if list.iter().any(|upstream| upstream.address == *address) {
                continue;
            }
            let known = self.list.iter().find(|upstream| upstream.address == *address).cloned();
            list.push(known.unwrap_or(Upstream { address: *address, pace: None, strips: false }));
        }
        self.list = list;
    }

    /// Whether there is one that is not among `tried`.
    pub(crate) fn has_other(&self, tried: &[Endpoint]) -> bool {
        self.list.iter().any(|upstream| !tried.contains(&upstream.address))
    }

    /// Notes whether an upstream passes signatures on.
    pub(crate) fn set_stripping(&mut self, address: Endpoint, strips: bool) {
        if let Some(upstream) = self.list.iter_mut().find(|upstream| upstream.address == address) {
            upstream.strips = strips;
        }
    }

    /// Those that do not.
    pub(crate) fn stripping(&self) -> impl Iterator<Item = Endpoint> {
        self.list.iter().filter(|upstream| upstream.strips).map(|upstream| upstream.address)
    }

    /// The best one that is not among `tried`, and how long to wait for it.
    pub(crate) fn pick(&self, tried: &[Endpoint], rng: &mut fastrand::Rng) -> Option<(Endpoint, Duration)> {
        let fresh: Vec<&Upstream> =
            self.list.iter().filter(|upstream| !tried.contains(&upstream.address)).collect();
        let chosen = if fresh.len() > 1 && rng.u32(..EXPLORE) == 0 {
            fresh.get(rng.usize(..fresh.len())).copied()
        } else {
            fresh.into_iter().min_by_key(|upstream| upstream.rank())
        };
        chosen.map(|upstream| (upstream.address, upstream.wait()))
    }

    pub(crate) fn answered(&mut self, address: Endpoint, took: Duration) {
        let Some(upstream) = self.list.iter_mut().find(|upstream| upstream.address == address) else {
            return;
        };
        let took = took.min(MAX_RTT);
        upstream.pace = Some(match upstream.pace {
            None => (took, took / 2),
            Some((rtt, variation)) => ((rtt * 7 + took) / 8, (variation * 3 + rtt.abs_diff(took)) / 4),
        });
    }

    pub(crate) fn missed(&mut self, address: Endpoint) {
        let Some(upstream) = self.list.iter_mut().find(|upstream| upstream.address == address) else {
            return;
        };
        let rtt = upstream.pace.map_or(FIRST_WAIT, |(rtt, _)| rtt);
        upstream.pace = Some(((rtt * 2).clamp(MIN_WAIT, MAX_RTT), Duration::ZERO));
    }
}
