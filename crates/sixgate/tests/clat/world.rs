//! A host without IPv4, a gateway that may be a NAT64, a server that has IPv4 alone.

use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{AcceptRa, Command, Host, Lab, Link, Process, Signal, root_for_tests, wait_for, wait_some};
use std::net::IpAddr;
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Starts a program in a host; the line is split at blanks.
pub fn spawn(host: &Host, line: &str) -> Process {
    let mut words = line.split(' ');
    host.spawn(&Command::new(words.next().unwrap()).args(words)).unwrap()
}

/// Runs a program in a host; what it prints.
pub fn run(host: &Host, line: &str) -> String {
    let process = spawn(host, line);
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{line}: {status}\n{}", process.output());
    process.output()
}

/// Whether a program ends well.
pub fn succeeds(host: &Host, line: &str) -> bool {
    spawn(host, line).wait(PATIENCE).unwrap().success()
}

/// A file of noise in the host's own /run, and its SHA-256.
pub fn noise(host: &Host, name: &str, octets: usize) -> String {
    let mut random = fastrand::Rng::with_seed(64);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(octets).collect();
    host.write_file(format!("/run/{name}"), bytes).unwrap();
    sha256(host, name)
}

pub fn sha256(host: &Host, name: &str) -> String {
    let text = run(host, &format!("sha256sum /run/{name}"));
    text.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned()
}

/// Serves the files below /run by Python's own server.
pub fn python(host: &Host, port: u16) {
    spawn(host, &format!("python3 -m http.server --directory /run {port}"));
    let listens = || run(host, "ss -Hltn").contains(&format!(":{port} "));
    wait_for("Python's server to listen", PATIENCE, listens).unwrap();
}

/// What a host's network looks like, but for counters and lifetimes.
pub fn state(host: &Host) -> Vec<String> {
    let settings = "grep -rsE . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf \
                    --include=forwarding --include=accept_ra --include=accept_redirects --include=proxy_ndp";
    let mut settings: Vec<String> = run(host, settings).lines().map(str::to_owned).collect();
    settings.sort();
    let lines =
        ["ip -br link", "ip -br addr", "ip route", "ip rule", "ip neigh show proxy", "nft list ruleset"];
    // Lifetimes count down.
    let routes = run(host, "ip -6 route");
    let routes: Vec<&str> = routes.lines().map(|line| line.split(" expires").next().unwrap()).collect();
    let mut state: Vec<String> = lines.map(|line| run(host, line)).into();
    state.push(routes.join("\n"));
    state.push(settings.join("\n"));
    state
}

/// ```text
/// phone eth0 ---- lan0 gw wan0 ---- eth0 server
///   2001:db8:1::/64     198.51.100.1    .10
/// ```
pub struct World {
    pub phone: Host,
    pub gw: Host,
    pub server: Host,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

impl World {
    /// The phone listens to routers as any host does. Frames are delayed a little, which also cuts superpackets and completes checksums.
    pub fn new(name: &str) -> Self {
        Self::with(name, Duration::from_millis(1))
    }

    /// The same with another delay.
    pub fn with(name: &str, delay: Duration) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [phone, gw, server] = ["phone", "gw", "server"].map(|name| lab.host(name).unwrap());
        phone.set_accept_ra("default", AcceptRa::Host).unwrap();
        lab.link(Link::between((&phone, "eth0"), (&gw, "lan0")).delay(delay)).unwrap();
        lab.link(Link::between((&gw, "wan0"), (&server, "eth0")).delay(delay)).unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        server.add_address("eth0", net("198.51.100.10/24")).unwrap();
        gw.add_address("wan0", net("198.51.100.1/24")).unwrap();
        let gateway = "198.51.100.1".parse::<IpAddr>().unwrap();
        server.add_route(net("192.0.2.0/24"), Some(gateway), "eth0").unwrap();
        run(&gw, "ip route add default via 198.51.100.254 dev wan0 onlink");
        Self { phone, gw, server, _lab: lab }
    }
}

/// A running `sixgate up`.
pub struct Up {
    host: Host,
    process: Process,
}

impl Up {
    /// On `gw`: lan0 is the LAN, and there is no uplink, so that hosts take it for their default router; `lan` goes into its section,
    /// `rest` behind it.
    pub fn gateway(gw: &Host, lan: &str, rest: &str) -> Self {
        Self::start(
            gw,
            &format!("[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n{lan}\n{rest}\n"),
        )
    }

    pub fn start(host: &Host, config: &str) -> Self {
        host.write_file("/etc/sixgate.toml", format!("state = \"/run/sixgate/state\"\n{config}")).unwrap();
        let process = host.spawn(&Command::new(SIXGATE).args(["up", "-v"])).unwrap();
        process.wait_line(" serving ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", process.output()));
        Self { host: host.clone(), process }
    }

    /// `sixgate status --json`.
    pub fn status(&self) -> Value {
        let text = run(&self.host, &format!("{SIXGATE} status --json"));
        let json = text.lines().find_map(|line| Some(&line[line.find('{')?..])).unwrap();
        serde_json::from_str(json).unwrap()
    }

    /// Reads another configuration of the same LAN.
    pub fn reload(&self, config: &str) {
        self.host
            .write_file("/etc/sixgate.toml", format!("state = \"/run/sixgate/state\"\n{config}"))
            .unwrap();
        self.process.signal(Signal::SIGHUP).unwrap();
    }

    /// Stops it as a person would; it must end cleanly.
    pub fn stop(self) {
        let status = self.process.stop(PATIENCE).unwrap();
        let log = self.process.output();
        assert!(status.success() && log.contains("clean=true"), "{status}\n{log}");
    }
}

/// A running `sixgate clat --json`.
pub struct Clat {
    process: Process,
}

impl Clat {
    pub fn start(host: &Host, arguments: &str) -> Self {
        let process = spawn(host, format!("{SIXGATE} clat --json {arguments}").trim());
        Self { process }
    }

    /// All that it said.
    pub fn said(&self) -> Vec<Value> {
        let output = self.process.output();
        output.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok()).collect()
    }

    /// Waits until the last that it said is such a state, with `key` as said.
    pub fn wait(&self, state: &str, key: &str, value: &str) -> Value {
        let found = || {
            let last = self.said().pop()?;
            (last["state"] == state && (key.is_empty() || last[key].to_string().contains(value)))
                .then_some(last)
        };
        wait_some(&format!("the CLAT to be {state}"), PATIENCE, found, || self.process.output()).unwrap()
    }

    /// Stops it as a person would; its last words.
    pub fn stop(self) -> Value {
        assert!(self.process.stop(PATIENCE).unwrap().success(), "{}", self.process.output());
        self.wait("stopped", "", "")
    }

    /// Ends it as a power failure would.
    pub fn kill(self) {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
    }
}
