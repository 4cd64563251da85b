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
mod guard;
mod health;
mod hosts;
mod island;
mod kernel;
mod lan;
mod lease;
mod leasequery;
mod links;
mod neighbours;
mod open;
mod permission;
mod persist;
mod plan;
mod plugins;
mod ports;
mod problems;
mod proxy;
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

pub(crate) use proxy::ProxyView;
pub(crate) use queries::is_inside;
pub(crate) use start::links;
pub(crate) use status::lease_view;
pub(crate) use v4::lease_view as lease_view_v4;

use crate::config::Config;
use crate::{Outcome, cli, log, show};
use clap::Args;
use engine::Engine;
use event::Event;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Serve the network that the configuration names, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(long_about = "\
Serve the network that the configuration names.

On the uplink: learns routers by ND, asks for an address and a prefix by DHCPv6. On each LAN: takes a /64 of the
prefix, advertises it, gives addresses and prefixes by DHCPv6, answers DNS. Between them: routes, and a firewall that
denies what nobody inside asked for. Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE.

SIGHUP reads the configuration again; leases are not touched. SIGTERM and Ctrl-C stop: hosts are told, and routes,
addresses, settings and firewall rules that `up` made are taken away again.

Without a configuration yet, one command makes an IPv6-only segment for people to try:
  sixgate up --profile event --uplink eth0 --lan eth1.64")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) file: cli::ConfigFile,
    #[command(flatten)]
    pub(crate) profile: crate::config::ProfileArgs,
    /// How each event is logged, one a line, on standard error.
    #[arg(long, value_enum, default_value_t = cli::LogFormat::Text)]
    pub(crate) log: cli::LogFormat,
    /// Say more; twice says each packet.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Name of the database in the state folder.
pub(crate) const DATABASE: &str = "leases.db";

/// Events taken before the world is made to follow, so that a burst is settled once.
const BURST: usize = 256;

/// Runs until told to stop.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
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
    // Plug-ins are run by a process of their own: this one gives up what that takes.
    let feed = match plugins::start(&checked.config) {
        Ok(feed) => feed,
        Err(error) => return crate::fail(&format!("cannot start what runs plug-ins: {error}")),
    };
    if let Err(error) = sandbox::before_start() {
        return crate::fail(&error.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::fail(&format!("cannot start: {error}")),
    };
    tokio::task::LocalSet::new().block_on(&runtime, serve(checked.config, feed))
}

async fn serve(config: Config, feed: Option<plugins::Feed>) -> Outcome {
    let (events, incoming) = mpsc::channel(event::QUEUE);
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(terminate), Ok(interrupt), Ok(hangup)) = signals else {
        return crate::fail("cannot listen for signals");
    };
    let feed = match feed.map(|feed| feed.read(&events)).transpose() {
        Ok(feed) => feed,
        Err(error) => return crate::fail(&format!("cannot hear what runs plug-ins: {error}")),
    };
    let (mut engine, guard) = match start::start(config, &events) {
        Ok(started) => started,
        Err(error) => return error.tell(),
    };
    engine.feed = feed;
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
    guard: guard::Guard,
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
                answer(&mut engine);
            }
            // What waits to be answered waits for no event, and a timer would be a millisecond late; others have their turn.
            () = tokio::task::yield_now(), if engine.waiting.is_due() => answer(&mut engine),
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

/// Answers some of what was asked. A flood that always has one more must not keep timers waiting.
fn answer(engine: &mut Engine) {
    engine.answer_requests();
    if engine.poll_timeout().is_some_and(|due| due <= engine.now()) {
        engine.handle_timeout();
    }
}
