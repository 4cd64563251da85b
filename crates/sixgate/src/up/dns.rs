//! The edge of the DNS forwarder: connections of clients, sockets to upstream resolvers.

use super::event::{Event, Sender};
use sixgate_dns::{Token, Transport};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, spawn_local};

/// Longest DNS message over UDP that is read, in octets.
const LONGEST_DATAGRAM: usize = 4096;
/// A connection that says nothing for this long is closed (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// Connections of clients at one time, on each LAN; more wait in the kernel's backlog.
const MOST_CONNECTIONS: usize = 64;
/// Queries of one connection that may wait for replies.
const MOST_PIPELINED: usize = 32;

/// Whoever asked a question, and the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// A datagram came in on a LAN, for one of our addresses.
    Udp { lan: usize, source: SocketAddrV6, destination: Ipv6Addr, interface: u32 },
    /// A connection, by its number.
    Tcp { connection: u64 },
}

/// Sockets to upstream resolvers, one for each question under way.
#[derive(Debug)]
pub(crate) struct Upstreams {
    events: Sender,
    asking: HashMap<Token, AbortHandle>,
}

impl Upstreams {
    pub(crate) fn new(events: Sender) -> Self {
        Self { events, asking: HashMap::new() }
    }

    /// Sends a question; what comes back is an [`Event::DnsAnswer`].
    pub(crate) fn query(&mut self, token: Token, upstream: SocketAddr, transport: Transport, bytes: Vec<u8>) {
        let events = self.events.clone();
        let task = spawn_local(async move {
            let failed = match transport {
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

/// Asks from a socket of its own, with a port that the kernel chose at random, connected to the resolver (RFC 5452 section 9.2).
async fn by_udp(token: Token, upstream: SocketAddr, query: &[u8], events: &Sender) -> io::Result<()> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    // More than one may come: a forged one must not keep the true one out. The forwarder closes us.
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let _ = events.send(Event::DnsAnswer { token, answer: Some((upstream, bytes)) }).await;
    }
}

async fn by_tcp(token: Token, upstream: SocketAddr, query: &[u8], events: &Sender) -> io::Result<()> {
    let mut stream = TcpStream::connect(upstream).await?;
    send(&mut stream, query).await?;
    let bytes = receive(&mut stream).await?;
    let _ = events.send(Event::DnsAnswer { token, answer: Some((upstream, bytes)) }).await;
    Ok(())
}

/// Serves the connections of one LAN, until dropped.
pub(crate) async fn serve(listener: TcpListener, events: Sender, mut number: impl FnMut() -> u64) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (events, connection) = (events.clone(), number());
        spawn_local(async move {
            let _permit = permit;
            let _ = converse(stream, connection, &events).await;
            let _ = events.send(Event::DnsClosed { connection }).await;
        });
    }
}

/// Reads queries and writes replies of one connection, each as it comes: a slow answer holds up no other.
async fn converse(stream: TcpStream, connection: u64, events: &Sender) -> io::Result<()> {
    let (replies, mut waiting) = mpsc::channel(MOST_PIPELINED);
    let (mut reading, mut writing) = stream.into_split();
    let _ = events.send(Event::DnsConnected { connection, replies }).await;
    let read = async {
        loop {
            let bytes = tokio::time::timeout(IDLE, receive(&mut reading)).await??;
            let _ = events.send(Event::DnsQuery { peer: Peer::Tcp { connection }, bytes }).await;
        }
    };
    let write = async {
        while let Some(bytes) = waiting.recv().await {
            let bytes: Vec<u8> = bytes;
            tokio::time::timeout(IDLE, send(&mut writing, &bytes)).await??;
        }
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
