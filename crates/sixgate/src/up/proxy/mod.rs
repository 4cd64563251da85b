//! The proxy: a thread of its own, so that what it carries keeps nobody waiting for an address or a name. Sockets are bound to the LANs'
//! devices; whoever comes from elsewhere is not heard. Names are asked of our own DNS, as the client's own questions would be; connections
//! are the kit's (Happy Eyeballs).

mod bounds;
mod carry;
mod lookups;
mod resolver;

use super::event::Sender;
use super::sockets::SocketsError;
use super::start::StartError;
use crate::config::{Config, Proxy as Wanted};
use carry::{Guest, Served, converse};
use ipnet::IpNet;
use lookups::Lookups;
use serde::{Deserialize, Serialize};
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::connect::{Connector, Policy, policy};
use sixgate_endpoint::nat64::Prefix;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::sandbox::{self, Capabilities};
use sixgate_linux::socket::tcp_listener;
use std::fmt::Write as _;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

/// Connections at one time on each LAN, and of one address; for one more, the one that has been quiet for longest is closed.
const MOST: usize = 256;
const MOST_OF_ONE: usize = 64;
/// How long connecting may take, names included.
const CONNECT: Duration = Duration::from_secs(15);

/// What all connections share.
#[derive(Debug)]
struct Shared {
    wanted: Wanted,
    /// The networks of each LAN: who may come there.
    inside: Mutex<Vec<Vec<IpNet>>>,
    /// Behind which translators have IPv4, as far as the configuration knows.
    prefixes: Vec<Prefix>,
    lookups: Lookups,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    now: AtomicU64,
    tunnels: AtomicU64,
    forwarded: AtomicU64,
    /// Asked for what is not gone to, or not understood.
    refused: AtomicU64,
    /// Not reached.
    failed: AtomicU64,
    /// Names that were not looked up, as their client had too many.
    crowded: AtomicU64,
    /// From outside of the LAN's networks.
    outside: AtomicU64,
    /// Closed for the want of room.
    evicted: AtomicU64,
    /// Octets to servers, and from them.
    up: AtomicU64,
    down: AtomicU64,
}

impl Counts {
    fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// The proxy at work. It ends when this is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// As the kernel has them.
    pub(crate) listeners: Vec<String>,
}

/// What `status` shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ProxyView {
    pub(crate) port: u16,
    pub(crate) connections: u64,
    pub(crate) tunnels: u64,
    pub(crate) forwarded: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// Refused since their client had too many names looked up.
    pub(crate) crowded: u64,
    pub(crate) outside: u64,
    pub(crate) evicted: u64,
    /// Octets to servers, and from them.
    pub(crate) up: u64,
    pub(crate) down: u64,
}

fn listen(device: &str, port: u16) -> Result<TcpListener, SocketsError> {
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    Ok(tcp_listener(any, Some(device), true)?)
}

/// Opens every port and closes it again: says who has one of them, before anything is changed.
pub(crate) fn require_ports(config: &Config) -> Result<(), SocketsError> {
    let Some(proxy) = &config.proxy else { return Ok(()) };
    config.lans.iter().try_for_each(|lan| listen(&lan.interface.value, proxy.port).map(drop))
}

/// Opens the proxy, where it is asked for.
pub(crate) fn open(config: &Config, events: &Sender) -> Result<Option<Proxy>, StartError> {
    let Some(wanted) = config.proxy.clone() else { return Ok(None) };
    let (mut sockets, mut found) = (Vec::new(), Vec::new());
    for lan in &config.lans {
        let device = &lan.interface.value;
        let listener = listen(device, wanted.port)?;
        let entry = listeners::verify_socket(&listener, Protocol::Tcp).map_err(SocketsError::Missing)?;
        found.push(format!("TCP [{}]:{} on {device}", entry.address, entry.port));
        sockets.push(listener);
    }
    let shared = Arc::new(Shared {
        wanted,
        inside: Mutex::default(),
        prefixes: bounds::prefixes(config),
        lookups: Lookups::default(),
        counts: Counts::default(),
    });
    let (stop, stopped) = oneshot::channel();
    let (of_thread, events) = (Arc::clone(&shared), events.clone());
    // What strangers send is looked at by a thread that may do nothing.
    let thread = sandbox::confined(Capabilities::NONE, || {
        let named = std::thread::Builder::new().name("proxy".to_owned());
        named.spawn(move || run(sockets, &of_thread, &events, stopped))
    })?;
    let thread = thread.map_err(SocketsError::Register)?;
    Ok(Some(Proxy { shared, stop: Some(stop), thread: Some(thread), listeners: found }))
}

/// Life of the thread.
fn run(sockets: Vec<TcpListener>, shared: &Arc<Shared>, events: &Sender, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the proxy cannot run"),
    };
    LocalSet::new().block_on(&runtime, async {
        for (lan, socket) in sockets.into_iter().enumerate() {
            // Each has its own threads for names: those who ask on one LAN keep nobody waiting on another.
            let connector = Connector::new(Policy { deadline: CONNECT, ..policy() });
            let (shared, events) = (Arc::clone(shared), events.clone());
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => drop(spawn_local(serve(listener, lan, connector, shared, events))),
                Err(error) => tracing::error!(%error, "the proxy cannot listen"),
            }
        }
        let _ = stopped.await;
    });
}

/// Serves the connections of one LAN.
async fn serve(
    listener: tokio::net::TcpListener,
    lan: usize,
    connector: Connector,
    shared: Arc<Shared>,
    events: Sender,
) {
    let mut all: Vec<Served> = Vec::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors: accepting again at once would spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let peer = Endpoint::from(from).without_port();
        let networks = shared.inside.lock().unwrap_or_else(PoisonError::into_inner).get(lan).cloned();
        if !super::is_inside(peer.address(), networks.as_deref().unwrap_or_default()) {
            Counts::add(&shared.counts.outside, 1);
            continue;
        }
        all.retain(|served| !served.is_over());
        let of_one = all.iter().filter(|served| served.peer == peer).count();
        let evicted = if of_one >= MOST_OF_ONE {
            Served::end_quietest(&mut all, |served| served.peer == peer)
        } else {
            all.len() >= MOST && Served::end_quietest(&mut all, |_| true)
        };
        Counts::add(&shared.counts.evicted, evicted.into());
        let guest = Guest { lan, source: from.ip(), events: events.clone() };
        let connector = connector.clone();
        all.push(Served::start(peer, Arc::clone(&shared), |shared, quiet| async move {
            converse(stream, guest, connector, &shared, &quiet).await;
        }));
    }
}

impl Proxy {
    /// The networks of the LANs changed.
    pub(crate) fn set_inside(&self, networks: &[Vec<IpNet>]) {
        *self.shared.inside.lock().unwrap_or_else(PoisonError::into_inner) = networks.to_vec();
    }

    /// What it does.
    pub(crate) fn view(&self) -> ProxyView {
        let counts = &self.shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProxyView {
            port: self.shared.wanted.port,
            connections: read(&counts.now),
            tunnels: read(&counts.tunnels),
            forwarded: read(&counts.forwarded),
            refused: read(&counts.refused),
            failed: read(&counts.failed),
            crowded: read(&counts.crowded),
            outside: read(&counts.outside),
            evicted: read(&counts.evicted),
            up: read(&counts.up),
            down: read(&counts.down),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ProxyView {
    /// A line of `sixgate status`.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "proxy port {}: {} connections, {} tunnels and {} requests since the start, {} octets up, {} down",
            self.port, self.connections, self.tunnels, self.forwarded, self.up, self.down
        );
        for (count, what) in [
            (self.refused, "refused"),
            (self.failed, "not reached"),
            (self.crowded, "beyond a client's names"),
            (self.outside, "from outside"),
            (self.evicted, "closed for want of room"),
        ] {
            if count > 0 {
                let _ = write!(line, ", {count} {what}");
            }
        }
        line
    }
}
