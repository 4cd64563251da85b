//! A client that has IPv6 alone, a gateway, a server that has IPv4 alone.

use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{Command, Host, Lab, Link, Process, Signal, root_for_tests, wait_some};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// An IPv4 address as the client sees it.
pub fn translated(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets().map(u16::from);
    Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, a << 8 | b, c << 8 | d)
}

/// ```text
/// client eth0 ---- lan0 gw wan0 ---- eth0 server
///   2001:db8:1::2    ::1   198.51.100.1    .2
/// ```
pub struct World {
    pub client: Host,
    pub gw: Host,
    pub server: Host,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

impl World {
    /// With links that delay frames by a millisecond (which also cut superpackets and complete checksums), or perfect ones.
    pub fn new(name: &str, delay: Duration) -> Self {
        Self::with(name, delay, delay)
    }

    /// The same with a delay for each side.
    pub fn with(name: &str, lan: Duration, wan: Duration) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [client, gw, server] = ["client", "gw", "server"].map(|name| lab.host(name).unwrap());
        gw.set_forwarding(true).unwrap();
        lab.link(Link::between((&client, "eth0"), (&gw, "lan0")).delay(lan)).unwrap();
        lab.link(Link::between((&gw, "wan0"), (&server, "eth0")).delay(wan)).unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        client.add_address_nodad("eth0", net("2001:db8:1::2/64")).unwrap();
        gw.add_address_nodad("lan0", net("2001:db8:1::1/64")).unwrap();
        client.add_route(net("::/0"), Some(address("2001:db8:1::1")), "eth0").unwrap();
        server.add_address("eth0", net("198.51.100.2/24")).unwrap();
        gw.add_address("wan0", net("198.51.100.1/24")).unwrap();
        server.add_route(net("192.0.2.0/29"), Some(address("198.51.100.1")), "eth0").unwrap();
        Self { client, gw, server, _lab: lab }
    }
}

/// A running `sixgate lab nat64`.
pub struct Translator {
    process: Process,
}

impl Translator {
    pub fn start(gw: &Host) -> Self {
        // Behind 64:ff9b::/96 only global addresses can be, and the server's is for documentation (RFC 6052 section 3.1).
        let prefix = ["lab", "nat64", "--prefix", "2001:db8:64::/96"];
        let arguments = prefix.into_iter().chain(["--pool", "192.0.2.0/29", "--address", "2001:db8:1::1"]);
        let process = gw.spawn(&Command::new(SIXGATE).args(arguments)).unwrap();
        process.wait_line("ready", PATIENCE).unwrap();
        Self { process }
    }

    /// Stops it; what it did.
    pub fn stop(self) -> Value {
        assert!(self.process.stop(PATIENCE).unwrap().success(), "{}", self.process.output());
        let view = || {
            let output = self.process.output();
            let json = output.lines().find_map(|line| Some(&line[line.find('{')?..]))?;
            serde_json::from_str(json).ok()
        };
        wait_some("the counters", PATIENCE, view, || self.process.output()).unwrap()
    }

    /// Ends it as a power failure would.
    pub fn kill(self) {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
    }
}

/// A running `sixgate up` with `[nat64]`.
pub struct Up {
    host: Host,
    process: Process,
}

impl Up {
    pub fn start(gw: &Host) -> Self {
        Self::start_with(gw, "")
    }

    /// With more in the file, from `[nat64]` on.
    pub fn start_with(gw: &Host, more: &str) -> Self {
        let config = "state = \"/run/sixgate/state\"\n[uplink]\ninterface = \"wan0\"\naddress = false\nprefix = false\n\
                      [[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
                      [nat64]\nprefix = \"2001:db8:64::/96\"\n";
        gw.write_file("/etc/sixgate.toml", format!("{config}{more}")).unwrap();
        let process = gw.spawn(&Command::new(SIXGATE).args(["up", "-v"])).unwrap();
        process.wait_line(" serving ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", process.output()));
        Self { host: gw.clone(), process }
    }

    /// `sixgate status --json`.
    pub fn status(&self) -> Value {
        let asked = self.host.spawn(&Command::new(SIXGATE).args(["status", "--json"])).unwrap();
        assert!(asked.wait(PATIENCE).unwrap().success(), "{}", asked.output());
        let output = asked.output();
        let json = output.lines().find_map(|line| Some(&line[line.find('{')?..])).unwrap();
        serde_json::from_str(json).unwrap()
    }

    /// Stops it as a person would; it must end cleanly.
    pub fn stop(self) {
        let status = self.process.stop(PATIENCE).unwrap();
        let log = self.process.output();
        assert!(status.success() && log.contains("clean=true"), "{status}\n{log}");
    }

    /// Ends it as a power failure would.
    pub fn kill(self) {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
    }
}
