//! Stopping: hosts are told, and what `up` set is taken away again.

use super::before;
use super::census;
use super::engine::Engine;
use super::event::{Event, Side};
use super::guard::Guard;
use super::kernel::Desired;
use crate::Outcome;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the ISP may take to answer a Release.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

/// Stops everything, in the order in which others depend on it: first the hosts hear of it, last the store closes.
pub(crate) async fn stop(mut engine: Engine, guard: Guard, mut incoming: mpsc::Receiver<Event>) -> Outcome {
    tracing::info!("stopping");
    let now = engine.now();
    // What waits to be told once it is on disk is told no more: the farewell comes last.
    engine.recording.clear();
    for index in 0..engine.lans.len() {
        engine.farewell(index, now);
    }
    release(&mut engine, &mut incoming).await;
    let mut problems = engine.kernel.apply(&mut engine.netlink, now, Desired::default());
    problems.extend(engine.kernel.sweep(&mut engine.netlink));
    problems.extend(engine.stop_v4());
    if let Some(feed) = engine.feed.take() {
        feed.end().await;
    }
    let restored = guard.restore(&mut engine.netlink);
    if restored.is_empty() {
        engine.set(before::SETTING, None);
        engine.set(before::RESOLV_CONF, None);
        // What could not be taken away, the next run takes.
        let left = engine.kernel.addresses().next().is_some();
        let record = left.then(|| before::encode_addresses(engine.kernel.addresses(), &engine.epoch));
        engine.set(before::ADDRESSES, record);
    }
    problems.extend(restored);
    // Their devices go, and the routes into them.
    drop((std::mem::take(&mut engine.shaping), engine.nat64.take(), engine.island.take()));
    // The rules stand for as long as anything is forwarded.
    if let Some(firewall) = &mut engine.firewall
        && let Err(error) = firewall.remove()
    {
        problems.push(error.to_string());
    }
    while engine.write_census(census::MOST_RECORDS) {}
    engine.end_sightings();
    engine.end_ports();
    // The store tells what it wrote: with nobody to take it, a full queue would make both wait for ever.
    drop(incoming);
    engine.end_anew();
    let Engine { store, .. } = engine;
    // The store's own thread writes what still waits; it ends when the store does.
    if let Err(error) = store.stop() {
        problems.push(error.to_string());
    }
    for problem in &problems {
        tracing::error!("{problem}");
    }
    tracing::info!(clean = problems.is_empty(), "stopped");
    if problems.is_empty() { Outcome::Done } else { Outcome::Failed }
}

impl Engine {
    /// Tells the hosts of a LAN that its router goes. Also where this run has told them of nothing yet: an earlier one that was killed
    /// may have, and they still believe it.
    fn farewell(&mut self, index: usize, now: Duration) {
        let mut actions = Vec::new();
        if let Some(lan) = self.lans.get_mut(index) {
            if lan.waits() && !lan.router.advertised().is_empty() {
                lan.router.start(now);
            }
            lan.router.stop(now, &mut actions);
        }
        for action in actions {
            // A record would have to be awaited; what is told here makes nothing that a crash could make stale.
            if let sixgate_nd::router::Action::Send { destination, bytes } = action {
                self.sockets.send_nd(Side::Lan(index), destination, &bytes);
            }
        }
    }
}

/// Gives the leases back to the ISP where the configuration says so, and waits a little for its answer.
async fn release(engine: &mut Engine, incoming: &mut mpsc::Receiver<Event>) {
    let now = engine.now();
    let Some(uplink) = engine.uplink.as_mut().filter(|uplink| uplink.config.release && uplink.up) else {
        return;
    };
    let Some(client) = &mut uplink.client else { return };
    let mut actions = Vec::new();
    client.release(now, &mut actions);
    engine.client_actions(actions);
    let end = now + RELEASE_PATIENCE;
    while engine.uplink.as_ref().is_some_and(|uplink| !uplink.released) && engine.now() < end {
        let next = engine.poll_timeout().unwrap_or(end).min(end).saturating_sub(engine.now());
        tokio::select! {
            Some(event) = incoming.recv() => engine.handle(event),
            () = tokio::time::sleep(next) => engine.handle_timeout(),
        }
    }
}
