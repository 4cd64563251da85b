//! One connection of the proxy, from its head to its end.

use super::{Counts, Shared};
use sixgate_endpoint::connect::Connector;
use sixgate_endpoint::{Endpoint, Host};
use sixgate_http::{Ask, Method, Refusal, Response};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    lan: usize,
    connector: &Connector,
    shared: &Shared,
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
    let server = match reach(&ask, connector, shared, lan).await {
        Ok(server) => server,
        Err((status, why)) => {
            Counts::add(if status == 403 { &shared.counts.refused } else { &shared.counts.failed }, 1);
            return refuse(&mut stream, status, &why).await;
        }
    };
    last.set(Instant::now());
    let rest = buffer.get(used..).unwrap_or_default();
    let _ = match ask {
        Ask::Tunnel { .. } => {
            Counts::add(&shared.counts.tunnels, 1);
            carry(stream, server, b"HTTP/1.1 200 Connection established\r\n\r\n", rest, shared, last).await
        }
        Ask::Forward { head, .. } => {
            Counts::add(&shared.counts.forwarded, 1);
            carry(stream, server, b"", &[&head, rest].concat(), shared, last).await
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

/// Whether an address may be gone to at all: none of a machine itself, of a link, or of many.
pub(super) fn is_gone_to(endpoint: Endpoint) -> bool {
    let address = endpoint.address();
    let of_links = ["fe80::/10", "169.254.0.0/16", "0.0.0.0/8"];
    let mut of_links = of_links.into_iter().filter_map(|net| net.parse::<ipnet::IpNet>().ok());
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || of_links.any(|net| net.contains(&address)))
}

/// Connects; a status and a sentence where not.
async fn reach(
    ask: &Ask,
    connector: &Connector,
    shared: &Shared,
    lan: usize,
) -> Result<TcpStream, (u16, String)> {
    let no = |why: String| (403, why);
    let host: Host =
        ask.authority().parse().map_err(|error: sixgate_endpoint::EndpointError| (400, error.to_string()))?;
    let port = host.port().unwrap_or(80);
    if !shared.wanted.to.contains(&port) {
        return Err(no(format!(
            "this proxy does not go to port {port}; to-ports under [proxy] names those that it goes to"
        )));
    }
    if let Some(endpoint) = host.endpoint() {
        if endpoint.zone().is_some() {
            return Err(no(format!("this proxy does not go to {}", ask.authority())));
        }
        // Before anything is sent: that a port is open there is not told either.
        if let Some(why) = shared.why_not(lan, endpoint) {
            return Err(no(why.to_owned()));
        }
    }
    let connected = connector.connect_async(&host, port).await.map_err(|error| (502, error.to_string()))?;
    let stream = connected.stream;
    // This machine itself, by whichever of its addresses: what listens here listens for those on the LAN, and not for us.
    let own = match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => local.ip() == peer.ip(),
        _ => true,
    };
    if own {
        return Err(no("this proxy does not go to the gateway itself; go there without it".to_owned()));
    }
    if let Some(why) = shared.why_not(lan, connected.peer) {
        return Err(no(why.to_owned()));
    }
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn refuse(stream: &mut TcpStream, status: u16, why: &str) {
    let body = format!("sixgate proxy: {why}\n");
    let bytes = Response::new(status)
        .body("text/plain; charset=utf-8", body.into_bytes())
        .to_bytes(Method::Get, false);
    let _ = timeout(HEAD, async {
        stream.write_all(&bytes).await?;
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

/// Carries octets both ways, first these: `down` to the client, `up` to the server.
async fn carry(
    client: TcpStream,
    server: TcpStream,
    down: &[u8],
    up: &[u8],
    shared: &Shared,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    timeout(HEAD, async {
        to_client.write_all(down).await?;
        to_server.write_all(up).await
    })
    .await??;
    let counts = &shared.counts;
    let both = async {
        tokio::try_join!(
            one_way(&mut from_client, &mut to_server, &counts.up, last),
            one_way(&mut from_server, &mut to_client, &counts.down, last)
        )
    };
    both.await.map(drop)
}

/// Carries octets one way until their end, which is passed on.
async fn one_way(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    count: &AtomicU64,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let mut octets = vec![0; PIECE];
    loop {
        let length = match timeout(IDLE, from.read(&mut octets)).await {
            Ok(length) => length?,
            // The other way may be at work.
            Err(_) if last.get().elapsed() < IDLE => continue,
            Err(elapsed) => return Err(elapsed.into()),
        };
        if length == 0 {
            return to.shutdown().await;
        }
        timeout(IDLE, to.write_all(octets.get(..length).unwrap_or_default())).await??;
        Counts::add(count, length as u64);
        last.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machines_or_a_links_is_not_gone_to() {
        let goes = |text: &str| is_gone_to(text.parse().unwrap());
        for no in [
            "::1",
            "127.0.0.1",
            "127.9.9.9",
            "::ffff:127.0.0.1",
            "::",
            "0.0.0.0",
            "fe80::1",
            "169.254.1.1",
            "ff02::1",
            "224.0.0.1",
        ] {
            assert!(!goes(no), "{no}");
        }
        for yes in ["2001:db8::1", "192.0.2.1", "fd00::1", "192.168.1.1"] {
            assert!(goes(yes), "{yes}");
        }
    }
}
