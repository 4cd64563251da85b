//! Four namespaces, the cables between them, and packets made by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, socket,
};
use nix::unistd::{Uid, gettid};
use sixgate_linux::nft::{Firewall, FirewallConfig, LanRules};

/// How long anything that should happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection attempt that must not be answered is watched. A refusal would come within
/// microseconds; the kernel's first retry of the SYN comes after a second.
pub(crate) const SILENCE: Duration = Duration::from_millis(400);

pub(crate) const WAN: &str = "2001:db8:f::1";
pub(crate) const GATEWAY: &str = "2001:db8:f::2";
pub(crate) const LAN: &str = "2001:db8:1000::10";
pub(crate) const LAN1: &str = "2001:db8:1000:1::10";

/// A network namespace with a thread in it.
pub(crate) struct Host {
    pub(crate) work: Sender<Box<dyn FnOnce() + Send>>,
    pub(crate) tid: i32,
}

impl Host {
    pub(crate) fn new() -> Self {
        assert!(Uid::effective().is_root(), "these tests make network namespaces: run them as root");
        let (work, todo) = channel::<Box<dyn FnOnce() + Send>>();
        let (ready, made) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            // Without duplicate address detection every address works at once.
            for path in ["all", "default"] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{path}/accept_dad"), "0").unwrap();
            }
            ip("link set lo up");
            ready.send(gettid().as_raw()).unwrap();
            for job in todo {
                job();
            }
        });
        Self { work, tid: made.recv().unwrap() }
    }

    /// Runs `f` in the namespace and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        self.work.send(Box::new(move || drop(done.send(f())))).unwrap();
        result.recv().expect("the closure panicked: see above")
    }

    pub(crate) fn ip(&self, commands: &'static [&'static str]) {
        self.run(|| commands.iter().for_each(|command| ip(command)));
    }

    /// A cable to `other`.
    pub(crate) fn link(&self, own: &str, other: &Self, theirs: &str) {
        let commands = format!("link add {own} type veth peer name {theirs} netns {}", other.tid);
        let up = format!("link set {own} up");
        self.run(move || [commands, up].iter().for_each(|command| ip(command)));
        let up = format!("link set {theirs} up");
        other.run(move || ip(&up));
    }

    pub(crate) fn program(&self, program: &'static str, arguments: &'static str) -> String {
        self.run(move || output(program, arguments))
    }

    pub(crate) fn ruleset(&self) -> String {
        self.program("nft", "list ruleset")
    }

    /// A TCP listener that greets whoever comes, until the test ends.
    pub(crate) fn greet(&self, port: u16) {
        self.run(move || {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ = stream.and_then(|mut stream| stream.write_all(b"hello"));
                }
            });
        });
    }

    /// What a greeter says.
    pub(crate) fn visit(&self, address: &str, port: u16) -> String {
        let mut stream = self.connect(address, port, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// A connection attempt gets neither an answer nor a refusal.
    pub(crate) fn hears_nothing(&self, address: &str, port: u16) {
        let result = self.connect(address, port, SILENCE).map(drop).map_err(|e| e.kind());
        assert_eq!(result, Err(ErrorKind::TimedOut), "from {address} port {port}");
    }

    pub(crate) fn connect(&self, address: &str, port: u16, timeout: Duration) -> std::io::Result<TcpStream> {
        let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
        self.run(move || TcpStream::connect_timeout(&address, timeout))
    }

    pub(crate) fn udp(&self, address: &str) -> UdpSocket {
        let address: SocketAddr = address.parse().unwrap();
        self.run(move || {
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        })
    }

    /// Sends a whole IPv6 packet, header and all.
    pub(crate) fn raw(&self, packet: Packet) {
        self.run(move || {
            let socket =
                socket(AddressFamily::Inet6, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).unwrap();
            let to = SockaddrIn6::from(SocketAddrV6::new(packet.first_hop, 0, 0, packet.scope));
            sendto(socket.as_raw_fd(), &packet.bytes(), &to, MsgFlags::empty()).unwrap();
        });
    }

    /// The kernel's number of an interface.
    pub(crate) fn index(&self, interface: &'static str) -> u32 {
        self.run(move || {
            let address: Vec<String> =
                output("ip", &format!("-o link show {interface}")).split(':').map(str::to_owned).collect();
            address[0].parse().unwrap()
        })
    }

    pub(crate) fn link_local(&self, interface: &'static str) -> Ipv6Addr {
        let text = self.run(move || output("ip", &format!("-o -6 addr show dev {interface} scope link")));
        let word = text.split_whitespace().find(|word| word.starts_with("fe80:")).unwrap().to_owned();
        word.split('/').next().unwrap().parse().unwrap()
    }
}

pub(crate) fn ip(command: &str) {
    output("ip", command);
}

pub(crate) fn output(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split(' ')).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// An IPv6 packet made by hand.
pub(crate) struct Packet {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) first_hop: Ipv6Addr,
    pub(crate) scope: u32,
    pub(crate) hop_limit: u8,
    pub(crate) next_header: u8,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn udp(source: &str, destination: &str, from: u16, to: u16, text: &[u8]) -> Self {
        let mut payload = Vec::new();
        payload.extend(from.to_be_bytes());
        payload.extend(to.to_be_bytes());
        payload.extend((8 + text.len() as u16).to_be_bytes());
        payload.extend([0, 0]);
        payload.extend(text);
        Self::new(source, destination, 17, payload, 6)
    }

    pub(crate) fn icmpv6(source: &str, destination: &str, message: Vec<u8>) -> Self {
        Self::new(source, destination, 58, message, 2)
    }

    /// With the checksum put at `checksum_at` of the payload.
    pub(crate) fn new(
        source: &str,
        destination: &str,
        next_header: u8,
        mut payload: Vec<u8>,
        checksum_at: usize,
    ) -> Self {
        let source: Ipv6Addr = source.parse().unwrap();
        let destination: Ipv6Addr = destination.parse().unwrap();
        let mut sum = u32::from(next_header) + payload.len() as u32;
        let padded = payload.iter().copied().chain(std::iter::repeat_n(0, payload.len() % 2));
        let all: Vec<u8> = source.octets().into_iter().chain(destination.octets()).chain(padded).collect();
        sum += all.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        payload[checksum_at..checksum_at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        Self { source, destination, first_hop: destination, scope: 0, hop_limit: 64, next_header, payload }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend((self.payload.len() as u16).to_be_bytes());
        bytes.extend([self.next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A gateway between a WAN and two LANs, with a fourth interface that sixgate does not manage.
pub(crate) struct Network {
    pub(crate) wan: Host,
    pub(crate) gateway: Host,
    pub(crate) lan: Host,
    pub(crate) lan1: Host,
    pub(crate) firewall: Firewall,
}

impl Network {
    pub(crate) fn new() -> Self {
        let (wan, gateway, lan, lan1) = (Host::new(), Host::new(), Host::new(), Host::new());
        gateway.link("wan0", &wan, "w0");
        gateway.link("mgmt0", &wan, "m0");
        gateway.link("lan0", &lan, "l0");
        gateway.link("lan1", &lan1, "l0");
        gateway.run(|| {
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
            // Errors and refusals are looked for: their rate limit would make a test depend on its speed.
            std::fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").unwrap();
        });
        gateway.ip(&[
            "addr add 2001:db8:f::2/64 dev wan0",
            "addr add 192.0.2.2/24 dev wan0",
            "addr add 2001:db8:e::2/64 dev mgmt0",
            "addr add 2001:db8:1000::1/64 dev lan0",
            "addr add fd00:1::1/64 dev lan0",
            "addr add 2001:db8:1000:1::1/64 dev lan1",
            "-6 route add default via 2001:db8:f::1",
        ]);
        wan.ip(&[
            "addr add 2001:db8:f::1/64 dev w0",
            "addr add 192.0.2.1/24 dev w0",
            "addr add 2001:db8:e::1/64 dev m0",
            "-6 route add default via 2001:db8:f::2",
        ]);
        lan.ip(&[
            "addr add 2001:db8:1000::10/64 dev l0",
            "addr add fd00:1::10/64 dev l0",
            "-6 route add default via 2001:db8:1000::1",
        ]);
        lan1.ip(&["addr add 2001:db8:1000:1::10/64 dev l0", "-6 route add default via 2001:db8:1000:1::1"]);
        // A link whose carrier the kernel has not noticed yet loses the first packets.
        for host in [&wan, &gateway, &lan, &lan1] {
            host.run(|| {
                let start = Instant::now();
                while output("ip", "-o link show").contains("state DOWN") {
                    assert!(start.elapsed() < PATIENCE, "{}", output("ip", "-o link show"));
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        // And under load the first neighbor solicitations may all be lost: from here on everybody is known.
        for host in [&lan, &lan1] {
            host.run(|| {
                let start = Instant::now();
                let ping = || Command::new("ping").args(["-6", "-n", "-c1", "-W1", WAN]).output().unwrap();
                while !ping().status.success() {
                    assert!(start.elapsed() < PATIENCE, "no answer from {WAN}");
                }
            });
        }
        let firewall = gateway.run(Firewall::open).unwrap();
        Self { wan, gateway, lan, lan1, firewall }
    }

    /// With the firewall applied.
    pub(crate) fn guarded() -> Self {
        let mut network = Self::new();
        network.firewall.apply(&config()).unwrap();
        network
    }

    pub(crate) fn count(&mut self, name: &str) -> u64 {
        let counters = self.firewall.counters().unwrap();
        let counter = counters.iter().find(|counter| counter.name == name);
        counter.unwrap_or_else(|| panic!("no counter {name}")).packets
    }

    /// Waits until a counter shows `packets`.
    pub(crate) fn counted(&mut self, name: &str, packets: u64) {
        let start = Instant::now();
        loop {
            let now = self.count(name);
            if now == packets {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{name} is {now}, not {packets}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn lan(interface: &str, prefixes: &[&str]) -> LanRules {
    LanRules {
        interface: interface.into(),
        prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        delegated: Vec::new(),
        prefixes_v4: Vec::new(),
    }
}

pub(crate) fn config() -> FirewallConfig {
    FirewallConfig {
        uplink: Some("wan0".into()),
        delegated: vec!["2001:db8:1000::/52".parse().unwrap()],
        lans: vec![
            // The last is delegated to a router on the LAN, of a length that ends within a byte.
            lan("lan0", &["2001:db8:1000::/64", "fd00:1::/64", "2001:db8:1000:8::/61"]),
            lan("lan1", &["2001:db8:1000:1::/64"]),
        ],
        ..FirewallConfig::default()
    }
}
