//! The edge of leasequery: datagrams that ask, and TCP connections of requestors with their bounds.

use super::engine::Engine;
use super::event::{Event, Sender};
use super::remote;
use super::sockets::SocketsError;
use crate::config::Config;
use sixgate_dhcp::server::leasequery::{Leasequery, Output};
use sixgate_dhcp::server::{Action, Reply};
use sixgate_endpoint::Endpoint;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::tcp_listener;
use sixgate_wire::dhcpv6::leasequery::LONGEST_FRAME;
use sixgate_wire::dhcpv6::{MessageType, SERVER_PORT};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

/// A connection on which nothing is asked and nothing is told is closed after this long (RFC 5460).
const IDLE: Duration = Duration::from_mins(2);
/// One whose requestor reads nothing is, after this long (RFC 7653).
const STUCK: Duration = Duration::from_mins(1);

/// What happens on connections.
#[derive(Debug)]
pub(crate) enum Talk {
    /// Somebody connected; the answer is whether it stays. The other is notified when there is something to fetch.
    Connected { connection: u64, source: Ipv6Addr, woken: Arc<Notify>, stays: oneshot::Sender<bool> },
    /// A whole message came; no other is read before this one is taken.
    Message { connection: u64, bytes: Vec<u8>, taken: oneshot::Sender<()> },
    /// There is room for more.
    Room { connection: u64, output: oneshot::Sender<(Output, bool)> },
    /// It is over.
    Closed { connection: u64 },
}

/// What the engine has of it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) core: Leasequery,
    woken: HashMap<u64, Arc<Notify>>,
}

impl Desk {
    /// None where nobody may ask.
    pub(crate) fn new(now: Duration, config: &Config) -> Option<Self> {
        let from = config.leasequery.clone();
        (!from.is_empty()).then(|| Self { core: Leasequery::new(now, from), woken: HashMap::new() })
    }

    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        let c = self.core.counters();
        [
            ("leasequery-answered", c.answered),
            ("leasequery-bulk", c.bulk),
            ("leasequery-active", c.active),
            ("leasequery-refused", c.refused),
            ("leasequery-malformed", c.malformed),
            ("leasequery-overload", c.overload),
            ("leasequery-updates", c.updates),
            ("leasequery-lagging", c.lagging),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Listens on each LAN and wherever relay agents are, where somebody may ask; the sockets, as the kernel has them.
pub(crate) fn open(config: &Config, events: &Sender) -> Result<Vec<String>, SocketsError> {
    let mut found = Vec::new();
    if config.leasequery.is_empty() {
        return Ok(found);
    }
    let lans = config.lans.iter().map(|lan| lan.interface.value.as_str());
    for (number, device) in lans.chain(remote::edges(config)).enumerate() {
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0);
        let listener = tcp_listener(any, Some(device), false)?;
        let entry = listeners::verify_socket(listener.as_fd(), Protocol::Tcp)?;
        found.push(format!("{} [{}]:{} on {device}", Protocol::Tcp, entry.address, entry.port));
        listener.set_nonblocking(true)?;
        // Numbers of connections never meet: each interface counts in a range of its own.
        let first = (number as u64) << 40;
        spawn_local(serve(TcpListener::from_std(listener)?, first, events.clone()));
    }
    Ok(found)
}

async fn serve(listener: TcpListener, first: u64, events: Sender) {
    let mut connection = first;
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors: accepting again at once would spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(source) = Endpoint::new(from.ip()).ipv6() else { continue };
        connection += 1;
        let events = events.clone();
        spawn_local(async move {
            let woken = Arc::new(Notify::new());
            let (stays, answer) = oneshot::channel();
            let hello = Talk::Connected { connection, source, woken: Arc::clone(&woken), stays };
            if events.send(Event::Leasequery(hello)).await.is_err() || !answer.await.unwrap_or(false) {
                return;
            }
            if let Err(error) = talk(stream, connection, &woken, &events).await {
                tracing::debug!(%source, %error, "a requestor of leases");
            }
            let _ = events.send(Event::Leasequery(Talk::Closed { connection })).await;
        });
    }
}

/// Reads messages and writes what there is to tell, until either side ends it.
async fn talk(stream: TcpStream, connection: u64, woken: &Notify, events: &Sender) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let (mut reading, mut writing) = stream.into_split();
    let mut stays = false;
    // Once the requestor has closed its side, nothing more will be asked.
    let asked_all = Cell::new(false);
    let incoming = async {
        loop {
            let mut length = [0; 2];
            match reading.read_exact(&mut length).await {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    asked_all.set(true);
                    woken.notify_one();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length)).min(LONGEST_FRAME)];
            reading.read_exact(&mut bytes).await?;
            let (taken, done) = oneshot::channel();
            let message = Talk::Message { connection, bytes, taken };
            events.send(Event::Leasequery(message)).await.map_err(|_| gone())?;
            done.await.map_err(|_| gone())?;
            woken.notify_one();
        }
    };
    let outgoing = async {
        loop {
            // Looked at before: what was asked last is then behind this in the engine's queue.
            let over = asked_all.get();
            let (output, answer) = oneshot::channel();
            let room = Talk::Room { connection, output };
            events.send(Event::Leasequery(room)).await.map_err(|_| gone())?;
            let (output, active) = answer.await.map_err(|_| gone())?;
            stays |= active;
            match output {
                Output::Send(octets) => {
                    tokio::time::timeout(STUCK, writing.write_all(&octets)).await??;
                }
                Output::More => tokio::task::yield_now().await,
                Output::Nothing if over => return writing.shutdown().await,
                Output::Nothing if stays => woken.notified().await,
                Output::Nothing => tokio::time::timeout(IDLE, woken.notified()).await?,
                Output::Close(octets) => {
                    tokio::time::timeout(STUCK, writing.write_all(&octets)).await??;
                    return writing.shutdown().await;
                }
            }
        }
    };
    tokio::pin!(incoming, outgoing);
    tokio::select! {
        // It still waits for the answers; one that reads none is given up by the other half.
        read = &mut incoming => match read {
            Ok(()) => outgoing.await,
            Err(error) => Err(error),
        },
        written = &mut outgoing => written,
    }
}

impl Engine {
    /// Something happened on a connection of a requestor.
    pub(crate) fn leasequery(&mut self, talk: Talk) {
        let now = self.now();
        let Some(desk) = &mut self.leasequery else { return };
        match talk {
            Talk::Connected { connection, source, woken, stays } => {
                let stay = desk.core.connected(now, connection, source);
                if stay {
                    desk.woken.insert(connection, woken);
                }
                if stays.send(stay).is_err() {
                    desk.core.closed(connection);
                    desk.woken.remove(&connection);
                }
            }
            Talk::Message { connection, bytes, taken } => {
                desk.core.received(now, &self.server, connection, &bytes);
                let _ = taken.send(());
            }
            Talk::Room { connection, output } => {
                let next = desk.core.next(now, &self.server, connection);
                let _ = output.send((next, desk.core.is_active(connection)));
            }
            Talk::Closed { connection } => {
                desk.core.closed(connection);
                desk.woken.remove(&connection);
            }
        }
    }

    /// Answers a datagram that asks about leases; whether it was one. It came in on this link of the server.
    pub(crate) fn answer_leasequery(&mut self, link: &str, source: SocketAddrV6, bytes: &[u8]) -> bool {
        let now = self.now();
        let Some(desk) =
            self.leasequery.as_mut().filter(|_| bytes.first() == Some(&MessageType::LEASEQUERY.0))
        else {
            return false;
        };
        let (destination, port) = (*source.ip(), source.port());
        if let Some(bytes) = desk.core.answer(now, &self.server, destination, bytes) {
            self.server_actions(vec![Action::Reply(Reply { link: link.into(), destination, port, bytes })]);
        }
        true
    }

    /// Lets requestors that stay connected know what became of leases; the server still knows what was before.
    pub(crate) fn tell_requestors(&mut self, token: u64) {
        let now = self.now();
        if let (Some(desk), Some(changes)) = (&mut self.leasequery, self.committing.get(&token)) {
            desk.core.committed(now, &self.server, changes);
            self.wake_requestors();
        }
    }

    /// Wakes those that were told nothing for long.
    pub(crate) fn handle_timeout_leasequery(&mut self) {
        let now = self.now();
        if let Some(desk) = &mut self.leasequery {
            desk.core.handle_timeout(now);
            self.wake_requestors();
        }
    }

    fn wake_requestors(&self) {
        if let Some(desk) = &self.leasequery {
            for notify in desk.core.woken().filter_map(|connection| desk.woken.get(&connection)) {
                notify.notify_one();
            }
        }
    }
}
