//! One connection of the proxy, from its head to its end.

use super::bounds::Own;
use super::resolver::Asker;
use super::{CONNECT, Counts, Shared};
use crate::up::event::Sender;
use sixgate_endpoint::connect::Connector;
use sixgate_endpoint::{Endpoint, Host};
use sixgate_http::{Answer, Ask, Method, Refusal, Response};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

/// From the first octet of a head to its last, and for whoever is to take an answer.
const HEAD: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for so long is closed.
const IDLE: Duration = Duration::from_mins(5);
/// Octets that are carried at once, and that wait in one direction.
const PIECE: usize = 16 * 1024;
/// By which a proxy knows that a request has passed it.
const NAME: &str = "sixgate";

/// A connection that is served.
pub(super) struct Served {
    pub(super) peer: Endpoint,
    task: AbortHandle,
    /// When something last moved.
    last: Rc<Cell<Instant>>,
}

/// Whom a connection is from, and where its names are asked for.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) lan: usize,
    pub(super) source: IpAddr,
    pub(super) events: Sender,
}

/// Counts a connection for as long as it lasts, however it ends.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counts.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Served {
    /// Starts to serve.
    pub(super) fn start<F: Future<Output = ()> + 'static>(
        peer: Endpoint,
        shared: Arc<Shared>,
        serve: impl FnOnce(Arc<Shared>, Rc<Cell<Instant>>) -> F,
    ) -> Self {
        let last = Rc::new(Cell::new(Instant::now()));
        Counts::add(&shared.counts.now, 1);
        let counted = Counted(Arc::clone(&shared));
        let serving = serve(shared, Rc::clone(&last));
        let task = spawn_local(async move {
            let _counted = counted;
            serving.await;
        });
        Self { peer, task: task.abort_handle(), last }
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the one among these on which nothing has moved for longest; whether there was one.
    pub(super) fn end_quietest(all: &mut Vec<Self>, among: impl Fn(&Self) -> bool) -> bool {
        let candidates = all.iter().enumerate().filter(|(_, served)| among(served));
        let Some((at, _)) = candidates.min_by_key(|(_, served)| served.last.get()) else { return false };
        all.swap_remove(at).task.abort();
        true
    }
}

/// Serves one connection.
pub(super) async fn converse(
    mut stream: TcpStream,
    guest: Guest,
    connector: Connector,
    shared: &Arc<Shared>,
    last: &Cell<Instant>,
) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let (ask, used) = match timeout(HEAD, head(&mut stream, &mut buffer)).await {
        Ok(Ok(Some(Ok(found)))) => found,
        Ok(Ok(Some(Err(refusal)))) => {
            Counts::add(&shared.counts.refused, 1);
            return refuse(&mut stream, refusal.status(), &refusal.to_string()).await;
        }
        _ => return,
    };
    let server = match reach(&ask, connector, shared, guest).await {
        Ok(server) => server,
        Err((status, why)) => {
            let counts = &shared.counts;
            let counter = match status {
                403 => &counts.refused,
                429 => &counts.crowded,
                _ => &counts.failed,
            };
            Counts::add(counter, 1);
            return refuse(&mut stream, status, &why).await;
        }
    };
    last.set(Instant::now());
    let rest = buffer.get(used..).unwrap_or_default();
    let _ = match ask {
        Ask::Tunnel { .. } => {
            Counts::add(&shared.counts.tunnels, 1);
            let down = b"HTTP/1.1 200 Connection established\r\n\r\n";
            carry(stream, server, (down, rest), None, shared, last).await
        }
        Ask::Forward { head, answer, .. } => {
            Counts::add(&shared.counts.forwarded, 1);
            carry(stream, server, (b"", &[&head, rest].concat()), answer, shared, last).await
        }
    };
}

/// The head of what a client asks; `None` where it went away.
async fn head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Result<(Ask, usize), Refusal>>> {
    loop {
        match Ask::parse(buffer, NAME) {
            Ok(Some(found)) => return Ok(Some(Ok(found))),
            Err(refusal) => return Ok(Some(Err(refusal))),
            Ok(None) => {}
        }
        let mut octets = [0; 2048];
        let count = stream.read(&mut octets).await?;
        if count == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(octets.get(..count).unwrap_or_default());
    }
}

/// Connects; a status and a sentence where not.
async fn reach(
    ask: &Ask,
    connector: Connector,
    shared: &Arc<Shared>,
    guest: Guest,
) -> Result<TcpStream, (u16, String)> {
    let no = |why: &str| (403, why.to_owned());
    let host: Host =
        ask.authority().parse().map_err(|error: sixgate_endpoint::EndpointError| (400, error.to_string()))?;
    let port = host.port().unwrap_or(80);
    if !shared.wanted.to.contains(&port) {
        return Err(no(&format!(
            "this proxy does not go to port {port}; to-ports under [proxy] names those that it goes to"
        )));
    }
    let lan = guest.lan;
    let own = || Own::read().map_err(|error| (502, error.to_string()));
    let connector = match host.endpoint() {
        Some(endpoint) if endpoint.zone().is_some() => {
            return Err(no(&format!("this proxy does not go to {}", ask.authority())));
        }
        // Before anything is sent: that a port is open there is not told either.
        Some(endpoint) => match shared.why_not(lan, endpoint, &own()?) {
            Some(why) => return Err(no(why)),
            None => connector,
        },
        None => {
            let turn = timeout(CONNECT, shared.lookups.turn(lan, guest.source)).await;
            let Ok(Some(turn)) = turn else {
                let why = "too many names are being looked up for this client; ask again when some of them are answered";
                return Err((429, why.to_owned()));
            };
            connector.with_resolver(Arc::new(Asker::new(guest, Arc::clone(shared), turn)))
        }
    };
    let connected = connector.connect_async(&host, port).await.map_err(|error| (502, error.to_string()))?;
    let stream = connected.stream;
    // Once more, of whom it has reached; and this machine itself by an address that it has without having been given it (a local route).
    // What listens here listens for those on the LAN, and not for us.
    let own_route = match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => local.ip() == peer.ip(),
        _ => true,
    };
    if own_route {
        return Err(no("this proxy does not go to the gateway itself; go there without it"));
    }
    if let Some(why) = shared.why_not(lan, connected.peer, &own()?) {
        return Err(no(why));
    }
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn refuse(stream: &mut TcpStream, status: u16, why: &str) {
    let _ = timeout(HEAD, async {
        stream.write_all(&refusal(status, why)).await?;
        stream.shutdown().await?;
        // A socket that is closed with octets unread is reset, and the refusal may be lost.
        let mut octets = [0; 2048];
        for _ in 0..32 {
            if stream.read(&mut octets).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    })
    .await;
}

fn refusal(status: u16, why: &str) -> Vec<u8> {
    let body = format!("sixgate proxy: {why}\n").into_bytes();
    Response::new(status).body("text/plain; charset=utf-8", body).to_bytes(Method::Get, false)
}

/// Carries octets both ways, first these: to the client, and to the server. What the server says comes to the client through `answer`,
/// where there is one.
async fn carry(
    mut client: TcpStream,
    server: TcpStream,
    (down, up): (&[u8], &[u8]),
    mut answer: Option<Answer>,
    shared: &Shared,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.into_split();
    timeout(HEAD, async {
        to_client.write_all(down).await?;
        to_server.write_all(up).await
    })
    .await??;
    let (counts, mut as_it_comes) = (&shared.counts, None);
    let both = async {
        tokio::try_join!(
            one_way(&mut from_client, &mut to_server, &mut as_it_comes, &counts.up, last),
            one_way(&mut from_server, &mut to_client, &mut answer, &counts.down, last)
        )
    };
    let carried = both.await.map(drop);
    if answer.is_some_and(|answer| answer.has_begun() && !answer.may_end()) {
        // To a client that reads until the end, an end would say that this is all of it.
        let _ = client.set_zero_linger();
    }
    carried
}

/// Carries octets one way until their end, which is passed on.
async fn one_way(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    answer: &mut Option<Answer>,
    count: &AtomicU64,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let (mut octets, mut of_answer) = (vec![0; PIECE], Vec::new());
    loop {
        let length = match timeout(IDLE, from.read(&mut octets)).await {
            Ok(length) => length?,
            // The other way may be at work.
            Err(_) if last.get().elapsed() < IDLE => continue,
            Err(elapsed) => return Err(elapsed.into()),
        };
        let mut piece = octets.get(..length).unwrap_or_default();
        let mut over = length == 0;
        if let Some(answer) = answer {
            let begun = answer.has_begun();
            of_answer.clear();
            let taken = if over && !answer.may_end() {
                Err("the server ended its answer before it was whole".to_owned())
            } else {
                answer.push(piece, &mut of_answer).map_err(|error| error.to_string())
            };
            match taken {
                Ok(()) => over |= answer.is_over(),
                Err(why) if begun || answer.has_begun() => return Err(io::Error::other(why)),
                Err(why) => {
                    of_answer = refusal(502, &why);
                    over = true;
                }
            }
            piece = &of_answer;
        }
        timeout(IDLE, to.write_all(piece)).await??;
        Counts::add(count, piece.len() as u64);
        last.set(Instant::now());
        if over {
            return to.shutdown().await;
        }
    }
}
