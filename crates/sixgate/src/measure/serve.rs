//! `sixgate measure serve`: the far end. TCP streams both ways, answers to UDP probes, a page; all of it bounded, and only for who has the token.

mod answer;
mod udp;

use super::cli::Serve;
use crate::Outcome;
use crate::web::auth::{random, same};
use answer::Answering;
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::acl::{Acl, Rule, Verdict};
use sixgate_endpoint::listen::{Listen, Listeners, Policy};
use sixgate_endpoint::talkers::{Limiter, Limits, Rate};
use sixgate_measure::echo::{Key, key_text};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Who is answered unless --allow says otherwise: nobody from the Internet.
const NEAR: &str =
    "allow ::1, fe80::/10, fc00::/7, 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16";
/// Connections at one time, and those of one source.
const MOST_CONNECTIONS: usize = 256;
const MOST_OF_ONE: usize = 64;
/// Streams at one time of one source: what a responsiveness test of both directions takes.
const MOST_STREAMS: usize = 40;
/// Keys for UDP probes at one time; the oldest goes.
const MOST_KEYS: usize = 64;
/// How long such a key is valid.
const KEY_LIFE: Duration = Duration::from_mins(10);
/// How often it looks whether it should stop.
const GLANCE: Duration = Duration::from_millis(100);

/// What runs.
struct Server {
    token: String,
    acl: Acl,
    seconds: u64,
    octets: u64,
    begun: Instant,
    state: Mutex<State>,
    stopped: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    connections: Option<Limiter>,
    /// Who is connected, once for each connection, and whether it carries a stream.
    here: Vec<(u64, Endpoint, bool)>,
    next: u64,
    keys: VecDeque<(Key, Instant)>,
    counters: Counters,
}

/// What has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
struct Counters {
    connections: u64,
    streams: u64,
    probes: u64,
    denied: u64,
    too_many: u64,
    wrong_token: u64,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether a request shows the token.
    fn has_token(&self, shown: Option<&str>) -> bool {
        let right = shown.is_some_and(|shown| same(shown.as_bytes(), self.token.as_bytes()));
        if !right {
            self.state().counters.wrong_token += 1;
        }
        right
    }

    /// A new key for UDP probes.
    fn key(&self) -> io::Result<Key> {
        let key = random(&mut File::open("/dev/urandom")?)?;
        let mut state = self.state();
        if state.keys.len() >= MOST_KEYS {
            state.keys.pop_front();
        }
        state.keys.push_back((key, Instant::now() + KEY_LIFE));
        Ok(key)
    }

    /// Whether a key is one of ours and still good; a probe is counted.
    fn knows(&self, key: &Key) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        state.keys.retain(|(_, until)| *until > now);
        let known = state.keys.iter().any(|(good, _)| same(good, key));
        if known {
            state.counters.probes += 1;
        } else {
            state.counters.denied += 1;
        }
        known
    }

    /// Lets a connection in, or not.
    fn admit(&self, peer: Endpoint) -> Option<u64> {
        let mut state = self.state();
        if !self.acl.decide(peer).is_allowed() {
            state.counters.denied += 1;
            return None;
        }
        let now = self.begun.elapsed();
        let limiter = state.connections.get_or_insert_with(|| Limiter::new(limits()));
        let allowed = limiter.check(now, peer, 1).is_allowed();
        let source = peer.without_port();
        let of_one = state.here.iter().filter(|(_, other, _)| *other == source).count();
        if !allowed || of_one >= MOST_OF_ONE || state.here.len() >= MOST_CONNECTIONS {
            state.counters.too_many += 1;
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.here.push((number, source, false));
        state.counters.connections += 1;
        Some(number)
    }

    /// Whether a connection may carry a stream: from then on it counts as one.
    fn admit_stream(&self, number: u64) -> bool {
        let mut state = self.state();
        let source = state.here.iter().find(|(other, ..)| *other == number).map(|(_, source, _)| *source);
        let streams =
            state.here.iter().filter(|(_, other, stream)| Some(*other) == source && *stream).count();
        if streams >= MOST_STREAMS {
            state.counters.too_many += 1;
            return false;
        }
        if let Some(here) = state.here.iter_mut().find(|(other, ..)| *other == number) {
            here.2 = true;
        }
        state.counters.streams += 1;
        true
    }

    fn left(&self, number: u64) {
        self.state().here.retain(|(other, ..)| *other != number);
    }
}

/// Connections a second and at once: a page of 110 objects by fresh connections, ten times.
fn limits() -> Limits {
    let rate = |rate| Some(Rate::new(rate, rate * 4));
    Limits {
        host6: rate(250),
        host4: rate(250),
        net64: rate(500),
        net56: rate(500),
        net48: rate(1000),
        net24: rate(1000),
    }
}

/// Runs the far end.
pub(super) fn command(arguments: &Serve) -> Outcome {
    let acl = match acl(&arguments.allow) {
        Ok(acl) => acl,
        Err(error) => {
            crate::say(&format!("sixgate: --allow: {error}\n"));
            return Outcome::Usage;
        }
    };
    let token = match &arguments.token {
        Some(token) => token.clone(),
        None => match File::open("/dev/urandom").and_then(|mut source| random(&mut source)) {
            Ok(key) => key_text(&key),
            Err(error) => return crate::fail(&format!("cannot draw a token: {error}")),
        },
    };
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return crate::fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let (listeners, probes) = match open(arguments) {
        Ok(open) => open,
        Err(error) => {
            crate::say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
    };
    let server = Arc::new(Server {
        token,
        acl,
        seconds: arguments.seconds.into(),
        octets: arguments.megabytes * 1_000_000,
        begun: Instant::now(),
        state: Mutex::default(),
        stopped,
    });
    tell(arguments, &server, &listeners);
    for socket in probes {
        let server = Arc::clone(&server);
        let started =
            thread::Builder::new().name("probes".to_owned()).spawn(move || udp::answer(&socket, &server));
        if let Err(error) = started {
            return crate::fail(&format!("cannot start a thread: {error}"));
        }
    }
    accept(listeners, &server);
    let counters = server.state().counters;
    let line = if arguments.json {
        serde_json::json!({ "event": "stopped", "counters": counters }).to_string()
    } else {
        let Counters { connections, streams, probes, denied, too_many, wrong_token } = counters;
        format!(
            "stopped: {connections} connections, {streams} streams, {probes} probes answered; \
             refused: {denied} by address or key, {too_many} too many, {wrong_token} without the token"
        )
    };
    crate::print(&format!("{line}\n"))
}

/// The list of who is answered.
fn acl(allow: &[String]) -> Result<Acl, String> {
    if allow.is_empty() {
        return NEAR.parse().map_err(|error: sixgate_endpoint::acl::RuleError| error.to_string());
    }
    let prefixes: Result<Vec<_>, _> =
        allow.iter().map(|text| text.trim().parse::<sixgate_endpoint::acl::Prefix>()).collect();
    let prefixes = prefixes.map_err(|error| error.to_string())?;
    Ok(Acl::new(Rule::new(Verdict::Allow, prefixes)))
}

fn open(arguments: &Serve) -> Result<(Listeners, Vec<sixgate_linux::socket::UdpSocket6>), String> {
    let listen = if arguments.listen.is_empty() {
        Listen::on(Policy::Both, arguments.port)
    } else {
        Listen::at(arguments.listen.iter().map(|at| at.with_port(at.port().unwrap_or(arguments.port))))
    };
    let listeners = listen.tcp().map_err(|error| error.to_string())?;
    let probes =
        udp::open(&listeners.endpoints(), arguments.listen.is_empty()).map_err(|error| error.to_string())?;
    Ok((listeners, probes))
}

fn tell(arguments: &Serve, server: &Server, listeners: &Listeners) {
    let endpoints: Vec<String> = listeners.endpoints().iter().map(ToString::to_string).collect();
    let allowed: Vec<String> = server.acl.rules().iter().map(ToString::to_string).collect();
    let text = if arguments.json {
        let event = serde_json::json!({ "event": "listening", "endpoints": endpoints, "token": server.token, "acl": allowed });
        format!("{event}\n")
    } else {
        format!(
            "listening on {}, TCP and UDP\nanswers: {}\ntoken: {}\n",
            endpoints.join(" and "),
            allowed.join("; "),
            server.token
        )
    };
    let _ = crate::print(&text);
}

fn accept(mut listeners: Listeners, server: &Arc<Server>) {
    while !server.is_stopped() {
        let (stream, peer) = match listeners.accept_timeout(GLANCE) {
            Ok(Some(accepted)) => accepted,
            Ok(None) => continue,
            Err(error) => {
                crate::say(&format!("sixgate: cannot accept: {error}\n"));
                thread::sleep(GLANCE);
                continue;
            }
        };
        // Who is not let in hears nothing.
        let Some(number) = server.admit(peer) else { continue };
        let here = Arc::clone(server);
        let started = thread::Builder::new()
            .name("peer".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || serve(&here, stream, number));
        if started.is_err() {
            server.left(number);
        }
    }
}

fn serve(server: &Server, stream: TcpStream, number: u64) {
    // Its end is the peer's business: what it asked for is given, or the connection closes.
    let _ = Answering::new(server, stream, number).run();
    server.left(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            token: "secret-token".to_owned(),
            acl: acl(&[]).unwrap(),
            seconds: 1,
            octets: 1,
            begun: Instant::now(),
            state: Mutex::default(),
            stopped: Arc::default(),
        }
    }

    fn peer(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_from_the_internet_unless_allowed() {
        let server = server();
        for near in ["[::1]:1", "[fe80::1%2]:1", "[fd00::1]:1", "127.0.0.1:1", "192.168.1.2:1"] {
            assert!(server.admit(peer(near)).is_some(), "{near}");
        }
        for far in ["[2001:db8::1]:1", "198.51.100.1:1"] {
            assert!(server.admit(peer(far)).is_none(), "{far}");
        }
        let here = Server { acl: acl(&["2001:db8::/32".to_owned()]).unwrap(), ..self::server() };
        assert!(here.admit(peer("[2001:db8::1]:1")).is_some() && here.admit(peer("[::1]:1")).is_none());
        assert!(acl(&["nonsense".to_owned()]).is_err());
    }

    #[test]
    fn one_source_has_its_share_and_gives_it_back() {
        let server = server();
        let numbers: Vec<u64> = (0..MOST_OF_ONE).map(|_| server.admit(peer("[::1]:1")).unwrap()).collect();
        assert!(server.admit(peer("[::1]:2")).is_none());
        assert!(server.admit(peer("[fd00::1]:2")).is_some(), "another is not affected");
        let streams = numbers.iter().filter(|number| server.admit_stream(**number)).count();
        assert_eq!(streams, MOST_STREAMS);
        for number in numbers {
            server.left(number);
        }
        assert!(server.admit(peer("[::1]:2")).is_some());
    }

    #[test]
    fn keys_are_few_and_tokens_compared() {
        let server = server();
        let first = server.key().unwrap();
        assert!(server.knows(&first) && !server.knows(&[0; 16]));
        for _ in 0..MOST_KEYS {
            server.key().unwrap();
        }
        assert!(!server.knows(&first), "the oldest went");
        assert!(server.has_token(Some("secret-token")));
        assert!(!server.has_token(Some("secret-toke")) && !server.has_token(None));
        assert_eq!(server.state().counters.wrong_token, 2);
    }
}
