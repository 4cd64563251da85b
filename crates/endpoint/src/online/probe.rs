//! The check itself: both families at once, each on a thread of its own.

use super::{Check, Online, State, is_clat, representative, route};
use crate::nat64::{self, Prefix};
use crate::{Endpoint, Family};
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Addresses that are tried for one family.
const MAX_ADDRESSES: usize = 8;
/// The least that one address is given, where there is so much left.
const LEAST: Duration = Duration::from_millis(250);
/// Where a probe names no port.
const HTTPS: u16 = 443;

/// Connects by plain TCP.
pub(super) fn tcp(to: Endpoint, timeout: Duration) -> io::Result<()> {
    let address =
        to.socket_addr(HTTPS).map_err(|missing| io::Error::new(io::ErrorKind::NotFound, missing))?;
    TcpStream::connect_timeout(&address, timeout).map(|_| ())
}

pub(super) fn run(check: &Check) -> Online {
    /// Nobody waits longer, and no clock overflows.
    const LONGEST: Duration = Duration::from_hours(1);
    let end = Instant::now() + check.timeout.min(LONGEST);
    let routed = |family| route(family, representative(family));
    let (v6, v4) = (routed(Family::V6), routed(Family::V4));
    // Without questions to anybody there is nothing to wait for.
    let quick = check.probes.is_empty();
    let v4_task = match (&v4, &v6) {
        (Ok(source), _) if quick => Task::Done(own(Family::V4, *source, None)),
        (Ok(source), _) => Task::start(check, end, Family::V4, Way::Own(*source)),
        (Err(reason), Ok(_)) => Task::start(check, end, Family::V4, Way::Translated(reason.clone())),
        (Err(reason), Err(_)) => Task::Done(State::None { reason: reason.clone() }),
    };
    let v6_task = match v6 {
        Ok(source) if quick => Task::Done(own(Family::V6, source, None)),
        Ok(source) => Task::start(check, end, Family::V6, Way::Own(source)),
        Err(reason) => Task::Done(State::None { reason }),
    };
    Online { v6: v6_task.finish(end), v4: v4_task.finish(end) }
}

/// A family with a route of its own.
fn own(family: Family, source: Endpoint, peer: Option<Endpoint>) -> State {
    match peer {
        peer if family == Family::V4 && is_clat(source) => State::Clat { source, peer },
        Some(peer) => State::Reached { peer },
        None => State::Routed { source },
    }
}

/// By which way a family may reach the world.
enum Way {
    /// Its own, from this address.
    Own(Endpoint),
    /// IPv4 by NAT64; why it has no way of its own.
    Translated(String),
}

/// A check of one family.
enum Task {
    Done(State),
    /// What to say where nothing comes in time.
    Running(mpsc::Receiver<State>, State),
}

impl Task {
    fn start(check: &Check, end: Instant, family: Family, way: Way) -> Self {
        let late = match &way {
            Way::Own(_) => State::Unanswered { reason: "no answer in time".to_owned() },
            Way::Translated(reason) => State::None {
                reason: format!("{reason}, and the resolver does not say in time whether there is NAT64"),
            },
        };
        let (tell, told) = mpsc::channel();
        let check = check.clone();
        let started = thread::Builder::new().name(format!("online {family}")).spawn(move || {
            // The caller may have gone.
            match way {
                Way::Own(source) => by_own(&check, end, family, source, &mut |state| {
                    let _ = tell.send(state);
                }),
                Way::Translated(reason) => {
                    let _ = tell.send(by_nat64(&check, end, &reason));
                }
            }
        });
        match started {
            Ok(_) => Self::Running(told, late),
            Err(error) => Self::Done(State::Unanswered { reason: format!("no thread to ask with: {error}") }),
        }
    }

    fn finish(self, end: Instant) -> State {
        match self {
            Self::Done(state) => state,
            Self::Running(told, late) => {
                let mut last = late;
                // Until the thread has ended, which is when it knows all.
                while let Ok(state) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
                    last = state;
                }
                last
            }
        }
    }
}

/// Tells what is known as soon as it is; the last word counts.
fn by_own(check: &Check, end: Instant, family: Family, source: Endpoint, tell: &mut dyn FnMut(State)) {
    let mut names = names(check, family);
    // An address behind NAT64 is a server's IPv4, whoever made the AAAA record.
    names.addresses.retain(|&endpoint| !is_behind(&[Prefix::WELL_KNOWN], endpoint));
    let found = connect(check, end, &names.addresses);
    tell(own_by(family, source, &found, &names));
    if family == Family::V4 || found.is_err() {
        return;
    }
    // Only now: a name server that does not answer this shall not hide that the family works.
    let prefixes = nat64::discover(&*check.resolver).unwrap_or_default();
    if found.is_ok_and(|peer| is_behind(&prefixes, peer)) {
        names.addresses.retain(|&endpoint| !is_behind(&prefixes, endpoint));
        let found = connect(check, end, &names.addresses);
        tell(own_by(family, source, &found, &names));
    }
}

fn own_by(
    family: Family,
    source: Endpoint,
    found: &Result<Endpoint, Option<String>>,
    names: &Names,
) -> State {
    match (found, &names.failed) {
        (Ok(peer), _) => own(family, source, Some(*peer)),
        (Err(Some(reason)), _) | (Err(None), Some(reason)) => State::Unanswered { reason: reason.clone() },
        // Nobody to ask: names without an address of this family tell nothing about it.
        (Err(None), None) => own(family, source, None),
    }
}

fn is_behind(prefixes: &[Prefix], endpoint: Endpoint) -> bool {
    let IpAddr::V6(address) = endpoint.address() else { return false };
    prefixes.iter().any(|prefix| prefix.extract(address).is_some())
}

fn by_nat64(check: &Check, end: Instant, reason: &str) -> State {
    let prefixes = match nat64::discover(&*check.resolver) {
        Ok(prefixes) => prefixes,
        Err(error) => {
            return State::None {
                reason: format!("{reason}, and whether there is NAT64 is unknown: {error}"),
            };
        }
    };
    // The first that has a route.
    let usable = |prefix: &&Prefix| {
        let [node, _] = nat64::WELL_KNOWN_ADDRESSES;
        route(Family::V6, prefix.synthesise(node).into()).is_ok()
    };
    let Some(&prefix) = prefixes.iter().find(usable) else {
        let what = match prefixes.as_slice() {
            [] => "no NAT64 in this network (RFC 7050)".to_owned(),
            [first, ..] => format!("no route to the NAT64 of this network ({first})"),
        };
        return State::None { reason: format!("{reason}, and {what}") };
    };
    // By name alone: an address that was given is no test here.
    let mut names = names(check, Family::V4);
    names.addresses.retain(|endpoint| !names.literal.contains(endpoint));
    let addresses: Vec<Endpoint> =
        names.addresses.iter().map(|&endpoint| prefix.synthesise_endpoint(endpoint)).collect();
    match connect(check, end, &addresses) {
        Ok(peer) => State::Nat64 { prefix, peer: Some(peer) },
        Err(Some(reason)) => State::Unanswered { reason: format!("through NAT64 ({prefix}), {reason}") },
        Err(None) => match names.failed {
            Some(reason) => State::Unanswered { reason },
            None => State::Nat64 { prefix, peer: None },
        },
    }
}

/// The addresses of the probes in one family.
#[derive(Default)]
struct Names {
    addresses: Vec<Endpoint>,
    /// Those that were given as addresses.
    literal: Vec<Endpoint>,
    /// Why a name has none, where that could not be told.
    failed: Option<String>,
}

fn names(check: &Check, family: Family) -> Names {
    let mut names = Names::default();
    let mut lists = Vec::new();
    for host in &check.probes {
        let port = host.port().unwrap_or(HTTPS);
        if let Some(endpoint) = host.endpoint() {
            if endpoint.family() == family {
                names.literal.push(endpoint.with_port(port));
                lists.push(vec![endpoint.with_port(port)]);
            }
            continue;
        }
        match check.resolver.resolve(host.name_to_resolve().unwrap_or_default(), family) {
            Ok(list) => lists.push(list.into_iter().map(|endpoint| endpoint.with_port(port)).collect()),
            Err(error) => names.failed = Some(error.to_string()),
        }
    }
    // The first of each name before the second of any: one dead name shall not use up the time.
    let longest = lists.iter().map(Vec::len).max().unwrap_or_default();
    let in_turn = (0..longest).flat_map(|at| lists.iter().filter_map(move |list| list.get(at).copied()));
    for endpoint in in_turn {
        if names.addresses.len() < MAX_ADDRESSES && !names.addresses.contains(&endpoint) {
            names.addresses.push(endpoint);
        }
    }
    names
}

/// The first that answers; why the last did not, `None` where there was none.
fn connect(check: &Check, end: Instant, addresses: &[Endpoint]) -> Result<Endpoint, Option<String>> {
    let mut last = None;
    for (number, &address) in addresses.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(last.or_else(|| Some("no time was left to ask anybody".to_owned())));
        }
        // Each has its share, and what those before have left over.
        let share = left / u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
        match (check.connect)(address, share.max(LEAST).min(left)) {
            Ok(()) => return Ok(address),
            Err(error) => last = Some(format!("{address} does not answer: {error}")),
        }
    }
    Err(last)
}
