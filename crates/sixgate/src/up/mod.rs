//! `sixgate up`: serves the network that the configuration names.
//!
//! [`start`](start::start) opens and verifies everything, [`run`] feeds the [`engine`](engine::Engine) with what happens, and
//! [`stop`](stop::stop) takes everything away again.

mod anew;
mod before;
mod census;
mod ddns;
mod dns;
mod dnssec;
mod engine;
mod event;
mod health;
mod hosts;
mod island;
mod kernel;
mod lan;
mod lease;
mod leasequery;
mod links;
mod neighbours;
mod permission;
mod persist;
mod plan;
mod problems;
mod queries;
mod reconfigure;
mod relay;
mod reload;
mod remote;
mod requests;
mod reservations;
mod resolv;
mod sandbox;
mod settle;
mod sightings;
mod sockets;
mod start;
mod status;
mod stop;
mod told;
mod uplink;
mod v4;
mod web;

pub(crate) use queries::is_inside;
pub(crate) use start::links;
pub(crate) use status::lease_view;
pub(crate) use v4::lease_view as lease_view_v4;

use crate::config::Config;
use crate::{Outcome, cli, log, show};
use engine::Engine;
use event::Event;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Name of the database in the state folder.
pub(crate) const DATABASE: &str = "leases.db";

/// Events taken before the world is made to follow, so that a burst is settled once.
const BURST: usize = 256;

/// Runs until told to stop.
pub(crate) fn command(arguments: &cli::Up) -> Outcome {
    let path = &arguments.file.config;
    if arguments.profile.profile.is_some() {
        let links = match start::links() {
            Ok(links) => links,
            Err(error) => return crate::fail(&error.to_string()),
        };
        if let Err(findings) = arguments.profile.prepare(path, &links) {
            show(&findings);
            return Outcome::Usage;
        }
    }
    let checked = match Config::load(path) {
        Ok(checked) => checked,
        Err(findings) => {
            show(&findings);
            return Outcome::Usage;
        }
    };
    show(&checked.warnings);
    log::start(arguments.log, arguments.verbose);
    if let Err(error) = sandbox::before_start() {
        return crate::fail(&error.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::fail(&format!("cannot start: {error}")),
    };
    tokio::task::LocalSet::new().block_on(&runtime, serve(checked.config))
}

async fn serve(config: Config) -> Outcome {
    let (events, incoming) = mpsc::channel(event::QUEUE);
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(terminate), Ok(interrupt), Ok(hangup)) = signals else {
        return crate::fail("cannot listen for signals");
    };
    let (engine, guard) = match start::start(config, &events) {
        Ok(started) => started,
        Err(error) => return error.tell(),
    };
    if let Err(error) = sandbox::when_serving(&engine.config) {
        let _ = Box::pin(stop::stop(engine, guard, incoming)).await;
        let _ = crate::fail(&error.to_string());
        return Outcome::Refused;
    }
    Box::pin(run(engine, guard, incoming, Signals { terminate, interrupt, hangup })).await
}

/// The signals that a running sixgate heeds.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

async fn run(
    mut engine: Engine,
    guard: start::Guard,
    mut incoming: mpsc::Receiver<Event>,
    mut signals: Signals,
) -> Outcome {
    engine.resynchronise();
    engine.changed = true;
    engine.settle();
    tracing::info!(listeners = engine.listeners.len(), "serving");
    loop {
        let wait =
            engine.poll_timeout().map_or(Duration::from_hours(1), |due| due.saturating_sub(engine.now()));
        tokio::select! {
            Some(event) = incoming.recv() => {
                engine.handle(event);
                for _ in 0..BURST {
                    match incoming.try_recv() {
                        Ok(event) => engine.handle(event),
                        Err(_) => break,
                    }
                }
                engine.answer_requests();
                // A flood that always has one more event must not keep timers waiting.
                if engine.poll_timeout().is_some_and(|due| due <= engine.now()) {
                    engine.handle_timeout();
                }
            }
            () = tokio::time::sleep(wait) => engine.handle_timeout(),
            _ = signals.hangup.recv() => {
                // It has told why not, if not.
                let _ = engine.reload();
            }
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
        engine.settle();
    }
    Box::pin(stop::stop(engine, guard, incoming)).await
}
