//! What waits on this machine itself: the interface's queue as the kernel counts it, and what its driver takes before that (byte queue
//! limits, BQL).

use super::seen::{Bql, Local};
use sixgate_linux::route::Netlink;
use sixgate_measure::stats::{percentile, sorted};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(20);
/// Looks that are kept: ten minutes of them.
const MOST: usize = 30_000;
/// Transmit queues that are looked at.
const QUEUES: usize = 256;

/// Looks at the queue of an interface until told to stop.
pub(super) fn watch(name: &str, index: u32, stop: &AtomicBool) -> Option<Local> {
    let mut netlink = Netlink::new().ok()?;
    let root = netlink.root_queue(index).ok()??;
    let (begun, sent) = (Instant::now(), sent(name));
    let (mut octets, mut packets, mut bql) = (Vec::new(), Vec::new(), None);
    while !stop.load(Ordering::Relaxed) && octets.len() < MOST {
        if let Ok(Some(queue)) = netlink.root_queue(index) {
            let (waiting, size) = queue.waiting();
            octets.push(f64::from(size));
            packets.push(f64::from(waiting));
        }
        bql = fuller(bql, limits(Path::new(&format!("/sys/class/net/{name}/queues"))));
        std::thread::sleep(EVERY);
    }
    let seconds = begun.elapsed().as_secs_f64().max(1e-3);
    #[allow(clippy::cast_precision_loss, reason = "octets a second")]
    let rate = self::sent(name).saturating_sub(sent) as f64 / seconds;
    // As of the round trips on the way: what three of four looks do not exceed.
    let most = |values: &[f64]| percentile(&sorted(values), 75.0);
    let (octets, packets) = (most(&octets), most(&packets));
    Some(Local {
        kind: root.kind,
        packets,
        octets,
        leaving_mbit: rate * 8.0 / 1e6,
        // Where almost nothing leaves, how long it takes is not known.
        wait_ms: (octets == 0.0 || rate > 1000.0).then(|| octets / rate.max(1.0) * 1000.0),
        bql,
    })
}

fn sent(name: &str) -> u64 {
    number(Path::new(&format!("/sys/class/net/{name}/statistics/tx_bytes"))).unwrap_or_default()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The limits of all transmit queues together; `None` where the driver has none.
fn limits(queues: &Path) -> Option<Bql> {
    let mut sum = Bql::default();
    for entry in fs::read_dir(queues).ok()?.flatten().take(QUEUES) {
        let folder = entry.path().join("byte_queue_limits");
        let Some(limit) = number(&folder.join("limit")) else { continue };
        sum.limit += limit;
        sum.inflight += number(&folder.join("inflight")).unwrap_or_default();
        sum.queues += 1;
    }
    // A driver that does not take part leaves all of them at nothing, also while it sends.
    (sum.limit > 0 || sum.inflight > 0).then_some(sum)
}

/// The look at which most was in the driver.
fn fuller(a: Option<Bql>, b: Option<Bql>) -> Option<Bql> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.inflight > a.inflight { b } else { a }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_all_queues_are_added_and_a_driver_without_has_none() {
        let folder = tempfile::tempdir().unwrap();
        for (queue, limit, inflight) in [("tx-0", "3000", "1500"), ("tx-1", "1000\n", "0\n")] {
            let at = folder.path().join(queue).join("byte_queue_limits");
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("limit"), limit).unwrap();
            fs::write(at.join("inflight"), inflight).unwrap();
        }
        fs::create_dir_all(folder.path().join("rx-0")).unwrap();
        let found = limits(folder.path()).unwrap();
        assert_eq!((found.limit, found.inflight, found.queues), (4000, 1500, 2));
        let none = tempfile::tempdir().unwrap();
        assert_eq!(limits(none.path()), None);
        assert_eq!(limits(Path::new("/does/not/exist")), None);
    }
}
