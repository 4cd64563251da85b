use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sixgate_linux::tap::Tap;

use crate::emulate::{Buffer, Counters, Impairment};
use crate::error::file_error;
use crate::folder::Folder;
use crate::host::fnv;
use crate::pump::{Pump, Shared};
use crate::{Error, Host, netlink};

/// Host name of the machine that holds the segments' bridges.
const HUB: &str = "lab-hub";

/// A network in namespaces. Dropping it ends all of it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    seed: u64,
    parts: Arc<Mutex<Parts>>,
    // Dropped after the hosts, which write there.
    folder: Folder,
}

#[derive(Debug, Default)]
struct Parts {
    hosts: Vec<Host>,
    pumps: Vec<Pump>,
    hub: Option<Host>,
    ports: u32,
    states: Vec<PathBuf>,
}

fn parts(shared: &Mutex<Parts>) -> MutexGuard<'_, Parts> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    /// An empty lab. Its name is in the names of its files, and decides hardware addresses and losses.
    ///
    /// # Errors
    /// When the name is no host name, or its folder cannot be made.
    pub fn new(name: &str) -> Result<Self, Error> {
        Self::with_seed(name, fnv(0, [name]))
    }

    /// An empty lab whose hardware addresses and losses follow from `seed`.
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn with_seed(name: &str, seed: u64) -> Result<Self, Error> {
        check_host_name("lab", name)?;
        let folder = Folder::new(name)?;
        Ok(Self { name: name.to_owned(), seed, parts: Arc::default(), folder })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Logs and captures are here; it is removed with the lab.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a host.
    ///
    /// # Errors
    /// When the name is taken or no host name, or the kernel refuses namespaces.
    pub fn host(&self, name: &str) -> Result<Host, Error> {
        check_host_name("host", name)?;
        let mut parts = parts(&self.parts);
        if name == HUB || parts.hosts.iter().any(|host| host.name() == name) {
            return Err(Error::Name {
                what: "host",
                name: name.to_owned(),
                rule: "the lab has a host of this name already",
            });
        }
        let host = Host::new(name, self.seed, self.folder.path())?;
        parts.hosts.push(host.clone());
        Ok(host)
    }

    /// Adds a host that forwards.
    ///
    /// # Errors
    /// As [`Lab::host`].
    pub fn router(&self, name: &str) -> Result<Host, Error> {
        let host = self.host(name)?;
        host.set_forwarding(true)?;
        Ok(host)
    }

    /// All hosts so far.
    pub fn hosts(&self) -> Vec<Host> {
        parts(&self.parts).hosts.clone()
    }

    /// Joins two hosts. Both interfaces are up when it returns.
    ///
    /// # Errors
    /// When a name cannot be used or the kernel refuses.
    pub fn link(&self, link: Link) -> Result<LinkHandle, Error> {
        let [(a, a_name), (b, b_name)] = &link.ends;
        check_interface_name(a_name)?;
        check_interface_name(b_name)?;
        if link.impairments.iter().any(|i| !(0.0..=1.0).contains(&i.loss)) {
            let link = link.to_string();
            return Err(Error::Link { link, problem: "loss is a probability from 0 to 1" });
        }
        if link.impairments.iter().all(Impairment::is_perfect) {
            let there = b.namespace().net();
            a.network(
                || format!("create {a_name}, joined with {b_name} of host {}", b.name()),
                || netlink::add_veth((a_name, a.mac(a_name)), (b_name, b.mac(b_name)), there),
            )?;
            a.set_up(a_name, true)?;
            b.set_up(b_name, true)?;
            return Ok(LinkHandle { ends: link.ends, shared: None });
        }
        let taps = [tap(a, a_name)?, tap(b, b_name)?];
        let text = link.to_string();
        let seed = fnv(self.seed, [text.as_str()]);
        let pump = Pump::start(taps, link.impairments, seed).map_err(|source| Error::Network {
            host: a.name().to_owned(),
            action: format!("start the thread of link {text}"),
            source,
        })?;
        let shared = Some(Arc::clone(&pump.shared));
        parts(&self.parts).pumps.push(pump);
        for (host, name) in &link.ends {
            host.set_up(name, true)?;
        }
        Ok(LinkHandle { ends: link.ends, shared })
    }

    /// Adds a segment: one Ethernet to which hosts can be attached.
    ///
    /// # Errors
    /// When the name is no interface name or taken, or the kernel refuses.
    pub fn segment(&self, name: &str) -> Result<Segment<'_>, Error> {
        check_interface_name(name)?;
        let hub = self.hub()?;
        let mac = hub.mac(name);
        hub.network(|| format!("create the bridge {name}"), || netlink::add_bridge(name, mac))?;
        hub.set_up(name, true)?;
        Ok(Segment { lab: self, name: name.to_owned(), hub })
    }

    fn hub(&self) -> Result<Host, Error> {
        let mut parts = parts(&self.parts);
        if let Some(hub) = &parts.hub {
            return Ok(hub.clone());
        }
        let hub = Host::new(HUB, self.seed, self.folder.path())?;
        // A switch says nothing of its own.
        for which in ["all", "default"] {
            hub.sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
        }
        parts.hub = Some(hub.clone());
        Ok(hub)
    }

    /// Writes the state file `<name>.json` into `folder`, by which others find the hosts: an object with the lab's
    /// `name`, the `pid` of this process and `hosts`, from name to the process to [`enter`](crate::enter). The
    /// file goes with the lab.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(&self, folder: &Path) -> Result<PathBuf, Error> {
        let mut parts = parts(&self.parts);
        // Names need no escapes: see `check_host_name`.
        let mut json = format!("{{\"name\":\"{}\",\"pid\":{},\"hosts\":{{", self.name, std::process::id());
        for (index, host) in parts.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(json, "{comma}\"{}\":{}", host.name(), host.init_pid());
        }
        json.push_str("}}\n");
        fs::create_dir_all(folder).map_err(file_error("create", folder))?;
        let path = folder.join(format!("{}.json", self.name));
        let unfinished = folder.join(format!(".{}.{}", self.name, std::process::id()));
        fs::write(&unfinished, json).map_err(file_error("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(file_error("write", &path))?;
        if !parts.states.contains(&path) {
            parts.states.push(path.clone());
        }
        Ok(path)
    }

    /// The state of all hosts, for a person.
    pub fn state(&self) -> String {
        self.hosts().iter().map(Host::state).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Parts { hosts, pumps, hub, states, .. } = std::mem::take(&mut *parts(&self.parts));
        for state in states {
            let _ = fs::remove_file(state);
        }
        for host in hosts.iter().chain(&hub) {
            host.namespace().kill_all();
        }
        // Removing a device waits for the kernel: let all wait at once.
        std::thread::scope(|scope| {
            for pump in pumps {
                scope.spawn(move || drop(pump));
            }
            for host in hosts.into_iter().chain(hub) {
                scope.spawn(move || drop(host));
            }
        });
    }
}

/// A TAP device with the host's stable hardware address, not yet up.
fn tap(host: &Host, name: &str) -> Result<Tap, Error> {
    let mac = host.mac(name);
    host.network(
        || format!("create {name}"),
        || {
            let tap = Tap::create(name)?;
            netlink::set_mac(name, mac)?;
            Ok(tap)
        },
    )
}

/// A link to be: two ends, and what happens to frames in between. Perfect unless told.
#[derive(Debug, Clone)]
#[must_use = "a link exists after Lab::link"]
pub struct Link {
    ends: [(Host, String); 2],
    impairments: [Impairment; 2],
}

impl Link {
    /// A perfect link.
    pub fn between((a, a_name): (&Host, &str), (b, b_name): (&Host, &str)) -> Self {
        Self {
            ends: [(a.clone(), a_name.to_owned()), (b.clone(), b_name.to_owned())],
            impairments: Default::default(),
        }
    }

    fn each(mut self, edit: impl Fn(&mut Impairment)) -> Self {
        for impairment in &mut self.impairments {
            edit(impairment);
        }
        self
    }

    /// Bits per second of each direction.
    pub fn rate(self, bits: u64) -> Self {
        self.each(|i| i.rate = Some(bits))
    }

    /// One-way delay of each direction.
    pub fn delay(self, delay: Duration) -> Self {
        self.each(|i| i.delay = delay)
    }

    /// Up to so much is added to the delay of each frame.
    pub fn jitter(self, jitter: Duration) -> Self {
        self.each(|i| i.jitter = jitter)
    }

    /// Probability of loss, from 0 to 1, in each direction.
    pub fn loss(self, probability: f64) -> Self {
        self.each(|i| i.loss = probability)
    }

    /// Buffer before each bottleneck, in bytes.
    pub fn buffer_bytes(self, bytes: u64) -> Self {
        self.each(|i| i.buffer = Buffer::Bytes(bytes))
    }

    /// Buffer before each bottleneck, in milliseconds at its rate.
    pub fn buffer_ms(self, milliseconds: u64) -> Self {
        self.each(|i| i.buffer = Buffer::Time(Duration::from_millis(milliseconds)))
    }

    /// What happens from the first end to the second, and back: for links whose directions differ.
    pub fn impairments(mut self, there: Impairment, back: Impairment) -> Self {
        self.impairments = [there, back];
        self
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [(a, a_name), (b, b_name)] = &self.ends;
        write!(f, "{}/{a_name} - {}/{b_name}", a.name(), b.name())
    }
}

/// A link that exists; it goes with the lab, not with this.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    ends: [(Host, String); 2],
    shared: Option<Arc<Shared>>,
}

impl LinkHandle {
    /// Pulls the cable, or plugs it in again. An impaired link loses all frames while both ends stay up, as behind
    /// a switch; of a perfect link the second end goes down, and the first end loses its carrier.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self, cut: bool) -> Result<(), Error> {
        match (&self.shared, &self.ends) {
            (Some(shared), _) => {
                shared.cut.store(cut, Ordering::Relaxed);
                Ok(())
            }
            (None, [_, (host, name)]) => host.set_up(name, !cut),
        }
    }

    /// What became of frames from the first end to the second, and back. Perfect links do not count.
    pub fn counters(&self) -> [Counters; 2] {
        self.shared.as_ref().map_or_else(Default::default, |shared| {
            *shared.counters.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

/// One Ethernet for several hosts: a bridge, in a namespace of its own, that says nothing itself.
#[derive(Debug)]
pub struct Segment<'a> {
    lab: &'a Lab,
    name: String,
    hub: Host,
}

impl Segment<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Attaches a host: gives it the interface `interface`, up.
    ///
    /// # Errors
    /// When the name cannot be used or the kernel refuses.
    pub fn attach(&self, host: &Host, interface: &str) -> Result<LinkHandle, Error> {
        self.attach_impaired(host, interface, &Impairment::default())
    }

    /// Attaches a host through an impaired link: the same impairment in both directions.
    ///
    /// # Errors
    /// When the name cannot be used or the kernel refuses.
    pub fn attach_impaired(
        &self,
        host: &Host,
        interface: &str,
        impairment: &Impairment,
    ) -> Result<LinkHandle, Error> {
        let port = {
            let mut parts = parts(&self.lab.parts);
            parts.ports += 1;
            format!("lab-port{}", parts.ports)
        };
        let link = Link::between((host, interface), (&self.hub, &port))
            .impairments(impairment.clone(), impairment.clone());
        let handle = self.lab.link(link)?;
        self.hub.network(
            || format!("add a port to the bridge {}", self.name),
            || netlink::set_bridge(&port, &self.name),
        )?;
        Ok(handle)
    }

    /// Detaches nothing, removes the segment's bridge: its hosts can no longer hear each other.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(self) -> Result<(), Error> {
        self.hub.network(|| format!("remove the bridge {}", self.name), || netlink::remove(&self.name))
    }
}

fn check_host_name(what: &'static str, name: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('-') {
        return Ok(());
    }
    let rule = "1 to 63 of a-z, 0-9 and hyphens, not beginning with a hyphen";
    Err(Error::Name { what, name: name.to_owned(), rule })
}

fn check_interface_name(name: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let reserved = ["all", "default", "lo", ".", ".."].contains(&name);
    if (1..=15).contains(&name.len()) && name.bytes().all(good) && !reserved {
        return Ok(());
    }
    let rule = "1 to 15 letters, digits, hyphens, underscores and dots; not all, default, lo";
    Err(Error::Name { what: "interface", name: name.to_owned(), rule })
}

/// To be called first in each test that makes a lab: root may, and anybody else's test program is executed again,
/// with the same arguments, as root of a user namespace (`unshare --map-root-user`).
///
/// It can replace the whole program because a test process has done nothing yet that cannot be repeated.
///
/// # Errors
/// When that cannot be done.
pub fn root_for_tests() -> std::io::Result<()> {
    if nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--"]).arg(program).args(std::env::args_os().skip(1));
    Err(unshare.exec())
}
