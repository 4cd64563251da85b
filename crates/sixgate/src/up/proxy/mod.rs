//! The proxy: a thread of its own, so that what it carries keeps nobody waiting for an address or a name. Sockets are bound to the LANs'
//! devices; whoever comes from elsewhere is not heard. Names are asked of our own DNS, as the client's own questions would be; connections
//! are the kit's (Happy Eyeballs).

mod carry;
mod resolver;

use super::event::Sender;
use super::sockets::SocketsError;
use super::start::StartError;
use crate::config::{Config, Proxy as Wanted};
use carry::{Served, converse};
use ipnet::IpNet;
use resolver::Asker;
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
    /// Behind which translators of ours have IPv4.
    prefixes: Vec<Prefix>,
    counts: Counts,
}

impl Shared {
    /// Why an address is not gone to from this LAN, if it is not. What the firewall keeps apart stays apart, also where it is named by
    /// the address that the NAT64 has for it.
    fn why_not(&self, lan: usize, endpoint: Endpoint) -> Option<&'static str> {
        let behind = endpoint
            .ipv6()
            .and_then(|address| self.prefixes.iter().find_map(|prefix| prefix.extract(address)));
        let behind = behind.map(Endpoint::new);
        if [Some(endpoint), behind].into_iter().flatten().any(|endpoint| !carry::is_gone_to(endpoint)) {
            return Some(
                "this proxy does not go to a machine itself, to what has a meaning on one link alone, or to many at once",
            );
        }
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_on = |at: usize, endpoint: Endpoint| {
            super::is_inside(endpoint.address(), inside.get(at).map_or(&[], Vec::as_slice))
        };
        let is_on_any = |endpoint: Endpoint| (0..inside.len()).any(|at| is_on(at, endpoint));
        let apart = !is_on(lan, endpoint) && is_on_any(endpoint) || behind.is_some_and(is_on_any);
        apart.then_some("this proxy does not go from one LAN to another")
    }
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
    let prefixes = config.nat64.iter().map(|nat64| nat64.prefix).chain(config.dns.dns64).collect();
    let shared = Arc::new(Shared { wanted, inside: Mutex::default(), prefixes, counts: Counts::default() });
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
        let asker = Asker::new(lan, from.ip(), Arc::clone(&shared), events.clone());
        let connector = connector.clone().with_resolver(Arc::new(asker));
        all.push(Served::start(peer, Arc::clone(&shared), |shared, quiet| async move {
            converse(stream, lan, &connector, &shared, &quiet).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_apart_stays_apart_by_whatever_address() {
        let nets = |texts: [&str; 2]| texts.map(|text| text.parse().unwrap()).to_vec();
        let inside =
            vec![nets(["2001:db8:1::/64", "192.168.1.0/24"]), nets(["2001:db8:2::/64", "192.168.2.0/24"])];
        let shared = Shared {
            wanted: Wanted { port: 3128, to: vec![443] },
            inside: Mutex::new(inside),
            prefixes: vec![Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap()],
            counts: Counts::default(),
        };
        let goes = |text: &str| shared.why_not(0, text.parse().unwrap()).is_none();
        // The Internet, the LAN itself, and IPv4 behind the NAT64.
        for text in
            ["2001:db8:f::80", "203.0.113.80", "2001:db8:1::7", "192.168.1.7", "2001:db8:64::203.0.113.80"]
        {
            assert!(goes(text), "{text}");
        }
        // The other LAN, by any name; what no machine but ours has.
        for text in [
            "2001:db8:2::7",
            "192.168.2.7",
            "::ffff:192.168.2.7",
            "2001:db8:64::192.168.2.7",
            "2001:db8:64::192.168.1.7",
            "2001:db8:64::169.254.169.254",
            "2001:db8:64::127.0.0.1",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!goes(text), "{text}");
        }
    }
}
