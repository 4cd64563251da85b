//! Connections: bounded in number, in time and in octets, so that nobody who holds all of them keeps the others out.

use super::auth::Keys;
use super::site::{self, Ends, Step};
use crate::control;
use ipnet::IpNet;
use sixgate_endpoint::Endpoint;
use sixgate_http::{Method, Request};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

/// Connections at one time on each LAN; for one more, the idlest is closed.
const MOST: usize = 64;
/// And of one address; for one more, its own idlest is closed. Browsers open six.
const MOST_OF_ONE: usize = 12;
/// From the beginning of a request to its end.
const REQUEST: Duration = Duration::from_secs(5);
/// Between requests.
const IDLE: Duration = Duration::from_secs(30);
/// For the reader to take an answer.
const WRITE: Duration = Duration::from_secs(10);
/// For the engine to give one.
const ENGINE: Duration = Duration::from_secs(5);
/// Octets taken after a refusal, so that the refusal is not lost to a reset.
const DRAIN: usize = 64 * 1024;
/// How old an answer may be: however many ask, the engine is asked once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// Requests a second, of all together, after a first [`BURST`] at once: as many as a hundred open pages have.
const RATE: u32 = 100;
const BURST: Duration = Duration::from_secs(2);

/// Where requests for views go.
pub(crate) type Asked = mpsc::Sender<control::Request>;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Site {
    keys: RefCell<Keys>,
    asked: Asked,
    views: RefCell<HashMap<String, (Instant, Rc<str>)>>,
    /// Held by whoever asks the engine, so that of many who want the same only one does.
    asking: tokio::sync::Mutex<()>,
    pace: Cell<Option<Instant>>,
    /// The networks of each LAN: who may come there.
    inside: RefCell<Vec<Vec<IpNet>>>,
}

/// Where a listener listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// A LAN, by its place in the configuration.
    Lan(usize),
    /// This machine itself.
    Here,
}

impl Site {
    pub(crate) fn new(token: &str, asked: Asked) -> io::Result<Self> {
        let keys = RefCell::new(Keys::new(token)?);
        Ok(Self {
            keys,
            asked,
            views: RefCell::default(),
            asking: tokio::sync::Mutex::default(),
            pace: Cell::default(),
            inside: RefCell::default(),
        })
    }

    /// The networks of the LANs changed.
    pub(crate) fn set_inside(&self, networks: &[Vec<IpNet>]) {
        *self.inside.borrow_mut() = networks.to_vec();
    }

    /// Whether whoever comes from there is heard: as DNS has it.
    fn admits(&self, on: On, peer: Endpoint) -> bool {
        match on {
            On::Here => true,
            On::Lan(lan) => {
                let inside = self.inside.borrow();
                crate::up::is_inside(peer.address(), inside.get(lan).map_or(&[], Vec::as_slice))
            }
        }
    }

    /// How long the next request waits, so that [`RATE`] is kept: it runs on the engine's thread, which has other work.
    fn wait(&self, now: Instant) -> Duration {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let turn = self.pace.get().unwrap_or(earliest).max(earliest) + Duration::from_secs(1) / RATE;
        self.pace.set(Some(turn));
        turn.saturating_duration_since(now)
    }

    /// The JSON of a view or a command; `None` where the engine has no time.
    async fn ask(&self, view: String, fresh: bool) -> Option<Rc<str>> {
        timeout(ENGINE, async {
            let _one = self.asking.lock().await;
            if let Some(json) = self.kept(&view).filter(|_| !fresh) {
                return Some(json);
            }
            let (answer, answered) = oneshot::channel();
            self.asked.send(control::Request { view: view.clone(), answer }).await.ok()?;
            let json: Rc<str> = answered.await.ok()?.into();
            let mut views = self.views.borrow_mut();
            if fresh {
                // What was done shows at once.
                views.clear();
            } else {
                views.insert(view, (Instant::now(), Rc::clone(&json)));
            }
            Some(json)
        })
        .await
        .ok()?
    }

    /// What the engine said a moment ago.
    fn kept(&self, view: &str) -> Option<Rc<str>> {
        let views = self.views.borrow();
        views.get(view).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, json)| Rc::clone(json))
    }

    async fn respond(&self, ends: Ends, request: &Request) -> sixgate_http::Response {
        let step = site::answer(Instant::now(), &mut self.keys.borrow_mut(), ends, request);
        match step {
            Step::Answer(response) => response,
            Step::Ask { view, fresh, shown } => match self.ask(view, fresh).await {
                Some(json) => site::finish(&json, shown),
                None => site::refusal(503, "the gateway is too busy to answer; try again"),
            },
        }
    }
}

/// A connection that is served.
struct Served {
    peer: Endpoint,
    task: AbortHandle,
    /// When it last had a whole request, or was accepted.
    last: Rc<Cell<Instant>>,
}

/// Serves one listener until dropped.
pub(crate) async fn serve(listener: TcpListener, on: On, site: Rc<Site>) {
    let mut all: Vec<Served> = Vec::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors: accepting again at once would spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let peer = Endpoint::from(peer).without_port();
        if !site.admits(on, peer) {
            continue;
        }
        all.retain(|served| !served.task.is_finished());
        let of_one = all.iter().filter(|served| served.peer == peer).count();
        if of_one >= MOST_OF_ONE {
            close_idlest(&mut all, |served| served.peer == peer);
        } else if all.len() >= MOST {
            close_idlest(&mut all, |_| true);
        }
        let last = Rc::new(Cell::new(Instant::now()));
        let (heard, site) = (Rc::clone(&last), Rc::clone(&site));
        let task = spawn_local(async move {
            let _ = converse(stream, peer, &heard, &site).await;
        });
        all.push(Served { peer, task: task.abort_handle(), last });
    }
}

fn close_idlest(all: &mut Vec<Served>, among: impl Fn(&Served) -> bool) {
    let candidates = all.iter().enumerate().filter(|(_, served)| among(served));
    if let Some((at, _)) = candidates.min_by_key(|(_, served)| served.last.get()) {
        all.swap_remove(at).task.abort();
    }
}

/// Answers the requests of one connection, one after the other.
async fn converse(
    mut stream: TcpStream,
    peer: Endpoint,
    heard: &Cell<Instant>,
    site: &Site,
) -> io::Result<()> {
    let ends = Ends { peer, local: Endpoint::from(stream.local_addr()?) };
    let mut buffer: Vec<u8> = Vec::new();
    let mut patience = REQUEST;
    loop {
        if buffer.is_empty() && timeout(patience, more(&mut stream, &mut buffer)).await?? == 0 {
            return Ok(());
        }
        let read = timeout(REQUEST, async {
            loop {
                match Request::parse(&buffer) {
                    Ok(Some(whole)) => return Ok(Ok(Some(whole))),
                    Err(refusal) => return Ok(Err(refusal)),
                    Ok(None) if more(&mut stream, &mut buffer).await? == 0 => return Ok(Ok(None)),
                    Ok(None) => {}
                }
            }
        });
        let refusal = match read.await {
            Ok(Ok(Ok(Some((request, used))))) => {
                buffer.drain(..used);
                heard.set(Instant::now());
                tokio::time::sleep(site.wait(Instant::now())).await;
                let response = site::protected(site.respond(ends, &request).await);
                let bytes = response.to_bytes(request.method, request.keep_alive);
                timeout(WRITE, stream.write_all(&bytes)).await??;
                if !request.keep_alive {
                    return stream.shutdown().await;
                }
                patience = IDLE;
                continue;
            }
            Ok(Ok(Ok(None))) => return Ok(()),
            Ok(Ok(Err(refusal))) => site::refusal(refusal.status(), &refusal.to_string()),
            Ok(Err(error)) => return Err(error),
            Err(_) => site::refusal(408, "the request took too long"),
        };
        timeout(WRITE, stream.write_all(&site::protected(refusal).to_bytes(Method::Get, false))).await??;
        stream.shutdown().await?;
        return timeout(REQUEST, drain(&mut stream)).await?;
    }
}

/// Reads what has come; how many octets, 0 at the end.
async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut octets = [0; 2048];
    let count = stream.read(&mut octets).await?;
    buffer.extend_from_slice(octets.get(..count).unwrap_or_default());
    Ok(count)
}

/// A socket that is closed with octets unread is reset, and what was sent last may be lost on the other side.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut left = DRAIN;
    let mut octets = [0; 2048];
    while left > 0 {
        match stream.read(&mut octets).await? {
            0 => return Ok(()),
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_pace() {
        let (asked, _waiting) = mpsc::channel(1);
        let site = Site::new("abcde-fghjk-mnpqr-stvwx", asked).unwrap();
        let now = Instant::now();
        let waits: Vec<Duration> = (0..300).map(|_| site.wait(now)).collect();
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), 200, "a burst");
        assert_eq!(waits.last(), Some(&Duration::from_secs(1)));
        // After a while everything is as before.
        assert_eq!(site.wait(now + Duration::from_mins(1)), Duration::ZERO);
    }
}
