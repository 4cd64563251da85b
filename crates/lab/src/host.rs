use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use sixgate_linux::namespace::Namespace;
use sixgate_linux::process::{Command, Log, Process};

use crate::netlink::{self, Mac};
use crate::{Capture, Error, wait_some};

/// A machine of a lab. Clones are the same machine; it may be used from several threads.
///
/// It is empty once its [`Lab`](crate::Lab) is gone: the processes are killed and the links removed.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) namespace: Namespace,
    pub(crate) seed: u64,
    folder: PathBuf,
    files: AtomicU32,
    processes: Mutex<Vec<Process>>,
}

/// Whether an interface takes Router Advertisements (`accept_ra` of the kernel's ip-sysctl.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptRa {
    /// Never.
    Never,
    /// Unless the host forwards.
    Host,
    /// Even when the host forwards.
    Always,
}

/// An IPv6 address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub interface: String,
    /// The address with its prefix length.
    pub net: Ipv6Net,
    /// Duplicate address detection has not finished (RFC 4862 section 5.4).
    pub tentative: bool,
    /// Another node has the address (RFC 4862 section 5.4.5).
    pub duplicate: bool,
    /// The preferred lifetime is over (RFC 4862 section 5.5.4).
    pub deprecated: bool,
}

/// An IPv6 route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Ipv6Net,
    /// The next hop, unless the destination is on the link.
    pub via: Option<Ipv6Addr>,
    /// The interface.
    pub interface: String,
    /// Smaller is better.
    pub metric: u32,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RFC 768.
    Udp,
    /// RFC 9293.
    Tcp,
}

/// Flags of `/proc/net/if_inet6`: `IFA_F_*` of linux/if_addr.h.
const DAD_FAILED: u8 = 0x08;
const DEPRECATED: u8 = 0x20;
const TENTATIVE: u8 = 0x40;

/// `RTF_UP`, `RTF_GATEWAY` of linux/route.h.
const ROUTE_UP: u32 = 0x1;
const ROUTE_GATEWAY: u32 = 0x2;
/// `RTF_REJECT` of linux/route.h.
const ROUTE_REJECT: u32 = 0x200;

impl Host {
    pub(crate) fn new(name: &str, seed: u64, folder: &Path) -> Result<Self, Error> {
        let inner = Inner {
            namespace: Namespace::new(name)?,
            seed,
            folder: folder.to_owned(),
            files: AtomicU32::new(0),
            processes: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its name in the lab, also its host name.
    pub fn name(&self) -> &str {
        self.inner.namespace.name()
    }

    /// The process that `sixgate lab enter` enters; see [`enter`](crate::enter).
    pub fn init_pid(&self) -> i32 {
        self.inner.namespace.init_pid()
    }

    /// The namespaces, for what this type has no method for.
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// Runs `f` in this host's network and mounts: sockets and files it opens are the host's. One at a time;
    /// what blocks goes into [`Host::thread`].
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.inner.namespace.run(f)
    }

    /// Starts a thread in this host's network and mounts.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        self.inner.namespace.thread(f)
    }

    /// Starts a program; what it says goes line by line into memory and a file of the lab's folder.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn spawn(&self, command: &Command) -> Result<Process, Error> {
        let log = Log::to_file(&self.new_file(&command.name(), "log"))?;
        let process = self.inner.namespace.spawn(command, &log)?;
        self.processes().push(process.clone());
        Ok(process)
    }

    fn processes(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.inner.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_file(&self, what: &str, kind: &str) -> PathBuf {
        let number = self.inner.files.fetch_add(1, Ordering::Relaxed);
        self.inner.folder.join(format!("{}-{number}-{what}.{kind}", self.name()))
    }

    /// Writes a file as the host sees it: `/etc/resolv.conf`, `/run/…` and a daemon's configuration are its own.
    /// Folders above are made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_file(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Result<(), Error> {
        let (path, text) = (path.as_ref(), text.as_ref());
        self.run(|| {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)
        })
        .map_err(crate::error::file_error("write", path))
    }

    /// Reads a file as the host sees it.
    ///
    /// # Errors
    /// When it cannot be read, or is no text.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<String, Error> {
        let path = path.as_ref();
        self.run(|| fs::read_to_string(path)).map_err(crate::error::file_error("read", path))
    }

    /// Captures what passes an interface; returns once the capture runs.
    ///
    /// # Errors
    /// When tcpdump (in an ordinary user's namespace: dumpcap) cannot be run there.
    pub fn capture(&self, interface: &str) -> Result<Capture, Error> {
        Capture::start(self, interface, self.new_file(interface, "pcap"))
    }

    pub(crate) fn network<T: Send>(
        &self,
        action: impl FnOnce() -> String,
        change: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, Error> {
        self.run(change).map_err(|source| Error::Network {
            host: self.name().to_owned(),
            action: action(),
            source,
        })
    }

    pub(crate) fn mac(&self, interface: &str) -> Mac {
        stable_mac(self.inner.seed, self.name(), interface)
    }

    /// Adds an address; an IPv6 one is tentative until its detection of duplicates is done.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_address(&self, interface: &str, address: impl Into<IpNet>) -> Result<(), Error> {
        let address = address.into();
        self.network(
            || format!("add {address} to {interface}"),
            || netlink::add_address(interface, address, false),
        )
    }

    /// Adds an address that may be used at once: no detection of duplicates.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_address_nodad(&self, interface: &str, address: impl Into<IpNet>) -> Result<(), Error> {
        let address = address.into();
        self.network(
            || format!("add {address} to {interface}"),
            || netlink::add_address(interface, address, true),
        )
    }

    /// Removes an address.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_address(&self, interface: &str, address: impl Into<IpNet>) -> Result<(), Error> {
        let address = address.into();
        self.network(
            || format!("remove {address} from {interface}"),
            || netlink::remove_address(interface, address),
        )
    }

    /// Adds or replaces a route.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_route(&self, to: impl Into<IpNet>, via: Option<IpAddr>, interface: &str) -> Result<(), Error> {
        let to = to.into();
        self.network(
            || format!("add a route to {to} through {interface}"),
            || netlink::add_route(to, via, interface),
        )
    }

    /// Removes a route.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_route(
        &self,
        to: impl Into<IpNet>,
        via: Option<IpAddr>,
        interface: &str,
    ) -> Result<(), Error> {
        let to = to.into();
        self.network(
            || format!("remove the route to {to} through {interface}"),
            || netlink::remove_route(to, via, interface),
        )
    }

    /// Brings an interface up, or down.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(&self, interface: &str, up: bool) -> Result<(), Error> {
        self.network(
            || format!("bring {interface} {}", if up { "up" } else { "down" }),
            || netlink::set_up(interface, up),
        )
    }

    /// Sets a value below `/proc/sys`, such as `net/ipv6/conf/all/forwarding`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), Error> {
        self.network(
            || format!("set {name} to {value}"),
            || fs::write(Path::new("/proc/sys").join(name), value),
        )
    }

    /// From now on its TCP sends as most machines do, and fills buffers until a packet is lost, whatever this kernel's default is (BBR does
    /// neither fill them nor heed losses): CUBIC, or Reno where a namespace may not have that. Says which.
    ///
    /// # Errors
    /// When the kernel has neither.
    pub fn heed_losses(&self) -> Result<&'static str, Error> {
        let choose = |name| self.sysctl("net/ipv4/tcp_congestion_control", name).map(|()| name);
        choose("cubic").or_else(|_| choose("reno"))
    }

    /// Forwards between interfaces, or not.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_forwarding(&self, on: bool) -> Result<(), Error> {
        let value = if on { "1" } else { "0" };
        self.sysctl("net/ipv6/conf/all/forwarding", value)?;
        self.sysctl("net/ipv6/conf/default/forwarding", value)?;
        self.sysctl("net/ipv4/ip_forward", value)
    }

    /// Whether the kernel takes Router Advertisements that come in on an interface (or `default`).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_accept_ra(&self, interface: &str, accept: AcceptRa) -> Result<(), Error> {
        let value = match accept {
            AcceptRa::Never => "0",
            AcceptRa::Host => "1",
            AcceptRa::Always => "2",
        };
        self.sysctl(&format!("net/ipv6/conf/{interface}/accept_ra"), value)
    }

    /// Whether interfaces detect duplicate addresses (RFC 4862 section 5.4); on unless told. Without it addresses
    /// may be used within milliseconds, those of [`Host::add_address_nodad`] at once. Interfaces made later follow.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_dad(&self, on: bool) -> Result<(), Error> {
        let value = if on { "1" } else { "0" };
        let folder = Path::new("/proc/sys/net/ipv6/conf");
        self.network(
            || format!("set accept_dad to {value}"),
            || {
                for entry in fs::read_dir(folder)? {
                    let name = entry?.file_name();
                    // The kernel takes the greater of `all` and the interface's own.
                    if name != "all" && name != "lo" {
                        fs::write(folder.join(name).join("accept_dad"), value)?;
                    }
                }
                Ok(())
            },
        )
    }

    fn proc_net(&self, name: &str) -> String {
        let path = Path::new("/proc/thread-self/net").join(name);
        self.run(|| fs::read_to_string(path)).unwrap_or_default()
    }

    /// All IPv6 addresses.
    pub fn addresses(&self) -> Vec<Address> {
        let address = |(interface, address, prefix, flags): (String, Ipv6Addr, u8, u8)| {
            Some(Address {
                interface,
                net: Ipv6Net::new(address, prefix).ok()?,
                tentative: flags & TENTATIVE != 0,
                duplicate: flags & DAD_FAILED != 0,
                deprecated: flags & DEPRECATED != 0,
            })
        };
        netlink::parse_if_inet6(&self.proc_net("if_inet6")).into_iter().filter_map(address).collect()
    }

    /// An address of an interface that may be used and fulfils `predicate`.
    pub fn address_ready(&self, interface: &str, predicate: impl Fn(Ipv6Addr) -> bool) -> Option<Ipv6Addr> {
        let ready =
            |a: &Address| a.interface == interface && !a.tentative && !a.duplicate && predicate(a.net.addr());
        self.addresses().iter().find(|a| ready(a)).map(|a| a.net.addr())
    }

    /// Waits for [`Host::address_ready`].
    ///
    /// # Errors
    /// [`Error::Timeout`] with the host's state.
    pub fn wait_address(
        &self,
        interface: &str,
        predicate: impl Fn(Ipv6Addr) -> bool,
        timeout: Duration,
    ) -> Result<Ipv6Addr, Error> {
        let what = format!("an address of {interface} on host {}", self.name());
        wait_some(&what, timeout, || self.address_ready(interface, &predicate), || self.state())
    }

    /// The interface's link-local address, once it may be used.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the host's state.
    pub fn wait_link_local(&self, interface: &str, timeout: Duration) -> Result<Ipv6Addr, Error> {
        self.wait_address(interface, |address| address.is_unicast_link_local(), timeout)
    }

    /// Whether a socket listens at a port: TCP in state LISTEN, UDP bound and not connected.
    pub fn listening(&self, transport: Transport, port: u16) -> bool {
        let (names, state) = match transport {
            Transport::Udp => (["udp6", "udp"], "07"),
            Transport::Tcp => (["tcp6", "tcp"], "0A"),
        };
        let port = format!(":{port:04X}");
        names.iter().any(|name| {
            self.proc_net(name).lines().any(|line| {
                let mut fields = line.split_ascii_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                local.ends_with(&port) && fields.nth(1) == Some(state)
            })
        })
    }

    /// IPv6 routes of unicast destinations that can be reached.
    pub fn routes(&self) -> Vec<Route> {
        self.proc_net("ipv6_route").lines().filter_map(parse_route).collect()
    }

    /// The route that packets to `destination` take.
    pub fn route_to(&self, destination: Ipv6Addr) -> Option<Route> {
        let covers = |route: &Route| route.to.contains(&destination);
        self.routes()
            .into_iter()
            .filter(covers)
            .min_by_key(|route| (u8::MAX - route.to.prefix_len(), route.metric))
    }

    /// Waits until `condition` holds, on this host.
    ///
    /// # Errors
    /// [`Error::Timeout`] with `what` and the host's state.
    pub fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        wait_some(what, timeout, || condition().then_some(()), || self.state())
    }

    /// Addresses, routes, and the last lines of each program, for a person.
    pub fn state(&self) -> String {
        let mut state = format!("host {}\n", self.name());
        for address in self.addresses() {
            let flag = |on, name| if on { name } else { "" };
            let _ = writeln!(
                state,
                "  address {} {}{}{}{}",
                address.interface,
                address.net,
                flag(address.tentative, " tentative"),
                flag(address.duplicate, " duplicate"),
                flag(address.deprecated, " deprecated"),
            );
        }
        for route in self.routes() {
            let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
            let _ = writeln!(state, "  route {}{via} {} metric {}", route.to, route.interface, route.metric);
        }
        for process in self.processes().iter() {
            let status = process.status().map_or_else(|| "running".to_owned(), |s| s.to_string());
            let _ = writeln!(state, "  {} ({status})", process.name());
            for line in process.log().tail(10).lines() {
                let _ = writeln!(state, "    {line}");
            }
        }
        state
    }
}

/// A line of `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, metric, references,
/// uses, flags, interface; all but the last in hexadecimal.
fn parse_route(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = |index: usize| u128::from_str_radix(fields.get(index)?, 16).ok().map(Ipv6Addr::from);
    let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let flags = number(8)?;
    let to = Ipv6Net::new(address(0)?, u8::try_from(number(1)?).ok()?).ok()?;
    if flags & ROUTE_UP == 0 || flags & ROUTE_REJECT != 0 || to.addr().is_multicast() {
        return None;
    }
    let via = address(4)?;
    Some(Route {
        to,
        via: (flags & ROUTE_GATEWAY != 0).then_some(via),
        interface: (*fields.get(9)?).to_owned(),
        metric: number(5)?,
    })
}

/// A locally administered unicast address that is the same in each run (FNV-1a, 64 bit).
fn stable_mac(seed: u64, host: &str, interface: &str) -> Mac {
    let hash = fnv(seed, [host, "\0", interface]);
    let mut mac: Mac = [0x02; 6];
    for (to, from) in mac.iter_mut().skip(1).zip(hash.to_le_bytes()) {
        *to = from;
    }
    mac
}

pub(crate) fn fnv<'a>(seed: u64, parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = parts.into_iter().flat_map(str::bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let line = "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 \
                    fe800000000000000000000000000001 00000400 00000001 00000000 00000003     wan0";
        let route = parse_route(line).expect("a route");
        assert_eq!(route.to, "2001:db8::/32".parse().expect("a prefix"));
        assert_eq!(route.via, "fe80::1".parse().ok());
        assert_eq!((route.interface.as_str(), route.metric), ("wan0", 1024));
        assert_eq!(parse_route("1 2 3"), None);
    }

    #[test]
    fn macs_are_stable_local_and_differ() {
        let mac = stable_mac(1, "gw", "wan0");
        assert_eq!(mac, stable_mac(1, "gw", "wan0"));
        assert_eq!(mac[0], 2);
        for other in [stable_mac(2, "gw", "wan0"), stable_mac(1, "gww", "an0"), stable_mac(1, "gw", "lan0")] {
            assert_ne!(mac, other);
        }
    }
}
