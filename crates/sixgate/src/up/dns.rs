//! The edge of the DNS forwarder: connections of clients, sockets to upstream resolvers.

use super::event::{Event, Sender};
use super::queries::Connection;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sixgate_dns::{Ticket, Token, Transport};
use sixgate_endpoint::Endpoint;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};

/// Longest DNS message over UDP that is read, in octets.
const LONGEST_DATAGRAM: usize = 4096;
/// A connection that says nothing for this long is closed (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// Connections of clients at one time, on each LAN; for one more, the quietest is closed.
const MOST_CONNECTIONS: usize = 64;
/// Sockets to upstream resolvers, at most.
const MOST_SOCKETS: usize = 2048;
/// And at least, whatever the limits of the process are.
const FEWEST_SOCKETS: usize = 64;
/// Descriptors that the process asks for.
const MOST_DESCRIPTORS: u64 = 8192;
/// Queries of one connection that may wait for replies.
const MOST_PIPELINED: usize = 32;

/// Whoever asked a question, and the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// A datagram came in on a LAN, for one of our addresses.
    Udp { lan: usize, source: SocketAddrV6, destination: Ipv6Addr, interface: u32, ticket: Ticket },
    /// A connection on a LAN, by its number.
    Tcp { lan: usize, connection: u64, ticket: Ticket },
    /// We ourselves, for the address of somebody to probe.
    Health(super::health::Asked),
}

/// Sockets to upstream resolvers, one for each question under way.
#[derive(Debug)]
pub(crate) struct Upstreams {
    events: Sender,
    asking: HashMap<Token, AbortHandle>,
    /// Sockets at one time.
    most: usize,
}

impl Upstreams {
    pub(crate) fn new(events: Sender) -> Self {
        Self { events, asking: HashMap::new(), most: most_sockets() }
    }

    /// Where what comes back goes.
    pub(crate) fn events(&self) -> Sender {
        self.events.clone()
    }

    /// Sends a question; what comes back is an [`Event::DnsAnswer`].
    pub(crate) fn query(&mut self, token: Token, upstream: Endpoint, transport: Transport, bytes: Vec<u8>) {
        let events = self.events.clone();
        let full = self.asking.len() >= self.most;
        let task = spawn_local(async move {
            let failed = match transport {
                _ if full => Err(io::Error::from(io::ErrorKind::QuotaExceeded)),
                Transport::Udp => by_udp(token, upstream, &bytes, &events).await,
                Transport::Tcp => by_tcp(token, upstream, &bytes, &events).await,
            };
            if let Err(error) = failed {
                tracing::debug!(%upstream, %error, "resolver cannot be asked");
                let _ = events.send(Event::DnsAnswer { token, answer: None }).await;
            }
        });
        self.asking.insert(token, task.abort_handle());
    }

    /// Closes the socket of a question.
    pub(crate) fn done(&mut self, token: Token) {
        if let Some(task) = self.asking.remove(&token) {
            task.abort();
        }
    }
}

/// How many sockets questions may take: upstreams that are silent must not cost the control socket and the clients' connections
/// their descriptors. As many as the process may have are asked for first; where that is refused, it is half of what there is.
fn most_sockets() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return FEWEST_SOCKETS };
    let wanted = hard.min(MOST_DESCRIPTORS).max(soft);
    let granted = if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    usize::try_from(granted / 2).map_or(MOST_SOCKETS, |half| half.clamp(FEWEST_SOCKETS, MOST_SOCKETS))
}

/// Asks from a socket of its own, connected to the resolver, with a port that the kernel chooses at random when it connects
/// (RFC 5452 section 9.2). The query leaves before the runtime hears of the socket: nothing need be waited for.
async fn by_udp(token: Token, upstream: Endpoint, query: &[u8], events: &Sender) -> io::Result<()> {
    let to = upstream.socket_addr(53).map_err(io::Error::other)?;
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.connect(&to.into())?;
    socket.send(query)?;
    let socket = UdpSocket::from_std(socket.into())?;
    let mut buffer = [0; LONGEST_DATAGRAM];
    // More than one may come: a forged one must not keep the true one out. The forwarder closes us.
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let _ = events.send(Event::DnsAnswer { token, answer: Some((upstream, bytes)) }).await;
    }
}

async fn by_tcp(token: Token, upstream: Endpoint, query: &[u8], events: &Sender) -> io::Result<()> {
    let mut stream = TcpStream::connect(upstream.socket_addr(53).map_err(io::Error::other)?).await?;
    send(&mut stream, query).await?;
    let bytes = receive(&mut stream).await?;
    let _ = events.send(Event::DnsAnswer { token, answer: Some((upstream, bytes)) }).await;
    Ok(())
}

/// A connection that is served.
struct Served {
    connection: u64,
    task: AbortHandle,
    /// When it last asked something, or was accepted.
    asked: Rc<Cell<Instant>>,
}

/// Serves the connections of one LAN, until dropped. When there are too many, the one that has been quiet for longest is closed
/// (RFC 7766 section 6.2.3), so that nobody who holds all of them keeps the others out.
pub(crate) async fn serve(
    listener: TcpListener,
    lan: usize,
    events: Sender,
    mut number: impl FnMut() -> u64,
) {
    let mut all: Vec<Served> = Vec::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors: accepting again at once would spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        all.retain(|served| !served.task.is_finished());
        if all.len() >= MOST_CONNECTIONS
            && let Some(at) =
                all.iter().enumerate().min_by_key(|(_, served)| served.asked.get()).map(|(at, _)| at)
        {
            let quiet = all.swap_remove(at);
            quiet.task.abort();
            let _ = events.send(Event::DnsClosed { connection: quiet.connection }).await;
        }
        let (events, connection) = (events.clone(), number());
        let asked = Rc::new(Cell::new(Instant::now()));
        let heard = Rc::clone(&asked);
        let task = spawn_local(async move {
            let _ = converse(stream, from.ip(), (lan, connection), &heard, &events).await;
            let _ = events.send(Event::DnsClosed { connection }).await;
        });
        all.push(Served { connection, task: task.abort_handle(), asked });
    }
}

/// Reads queries and writes replies of one connection, each as it comes: a slow answer holds up no other.
async fn converse(
    stream: TcpStream,
    source: IpAddr,
    (lan, connection): (usize, u64),
    heard: &Cell<Instant>,
    events: &Sender,
) -> io::Result<()> {
    let (replies, mut waiting) = mpsc::channel(MOST_PIPELINED);
    let (mut reading, mut writing) = stream.into_split();
    let client = Connection { source, replies };
    let _ = events.send(Event::DnsConnected { lan, connection, client }).await;
    let read = async {
        loop {
            let bytes = tokio::time::timeout(IDLE, receive(&mut reading)).await??;
            heard.set(Instant::now());
            let _ = events.send(Event::DnsQuery { lan, connection, bytes }).await;
        }
    };
    let write = async {
        while let Some(bytes) = waiting.recv().await {
            let bytes: Vec<u8> = bytes;
            tokio::time::timeout(IDLE, send(&mut writing, &bytes)).await??;
        }
        // The engine let the client go.
        Ok(())
    };
    tokio::select! { done = read => done, done = write => done }
}

/// One message with its two octets of length (RFC 1035 section 4.2.2).
async fn receive(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn send(stream: &mut (impl tokio::io::AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // One write, so that the length does not travel alone.
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(bytes);
    stream.write_all(&message).await
}
