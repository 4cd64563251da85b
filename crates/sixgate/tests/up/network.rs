//! What every test here needs: hosts, a running sixgate, and its views.

use ipnet::{IpNet, Ipv6Net};
use serde_json::Value;
use sixgate_lab::{AcceptRa, Command, Host, Lab, Link, Process, Signal, root_for_tests, wait_some};
use std::net::Ipv6Addr;
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An ISP's router, a gateway with two LANs, and a client on each. No daemon runs yet; the ISP's addresses stand.
///
/// ```text
/// isp cust0 ---- wan0 gw lan0 ---- eth0 alice
///                        lan1 ---- eth0 bob
/// ```
pub struct Home {
    pub isp: Host,
    pub gw: Host,
    pub alice: Host,
    pub bob: Host,
    /// Last: what runs in it ends with it.
    pub lab: Lab,
}

/// What the ISP has on the customer's line.
pub const ISP: &str = "2001:db8:0:1::1";
/// A host behind the ISP, on its loopback interface.
pub const FAR: &str = "2001:db8:f::80";

/// Builds the network of [`Home`].
pub fn home(name: &str) -> Home {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new(name).unwrap();
    let (isp, gw) = (lab.router("isp").unwrap(), lab.host("gw").unwrap());
    let (alice, bob) = (lab.host("alice").unwrap(), lab.host("bob").unwrap());
    lab.link(Link::between((&isp, "cust0"), (&gw, "wan0"))).unwrap();
    lab.link(Link::between((&gw, "lan0"), (&alice, "eth0"))).unwrap();
    lab.link(Link::between((&gw, "lan1"), (&bob, "eth0"))).unwrap();
    isp.add_address_nodad("lo", net(&format!("{FAR}/128"))).unwrap();
    isp.add_address_nodad("cust0", net(&format!("{ISP}/64"))).unwrap();
    // Before and after sixgate the kernel would listen to the ISP itself.
    gw.set_accept_ra("wan0", AcceptRa::Never).unwrap();
    Home { isp, gw, alice, bob, lab }
}

/// A prefix or an address with its length.
pub fn net(text: &str) -> IpNet {
    text.parse::<Ipv6Net>().unwrap().into()
}

/// The configuration of a home, as the README shows it.
pub const GATEWAY: &str =
    "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n[[lan]]\ninterface = \"lan1\"\n";

/// The configuration of an ISP that delegates /56s and answers DNS; `far.example` is [`FAR`].
pub fn isp_config() -> String {
    format!(
        "[[lan]]\ninterface = \"cust0\"\nprefixes = [\"2001:db8:0:1::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
         delegate-length = 56\n[dhcp]\npreference = 255\n[dns]\nhosts = {{ \"far.example\" = [\"{FAR}\"] }}\n"
    )
}

/// Writes the host's `/etc/sixgate.toml`, with a state folder of its own.
pub fn write_config(host: &Host, config: &str) {
    // A host's /run is its own; its /var/lib is the machine's.
    let config = format!("state = \"/run/sixgate/state\"\n{}", unsigned(config));
    host.write_file("/etc/sixgate.toml", config).unwrap();
}

/// A configuration for resolvers of a lab, whose names nobody signs, unless it says itself what to do about that.
fn unsigned(config: &str) -> String {
    const OFF: &str = "[dns]\ndnssec = false\n";
    match config {
        _ if !config.contains("[uplink]") || config.contains("dnssec") => config.to_owned(),
        _ if config.contains("[dns]\n") => config.replacen("[dns]\n", OFF, 1),
        _ => format!("{config}{OFF}"),
    }
}

/// A running `sixgate up`. Dropping it leaves it to the lab, which kills it at its end.
pub struct Sixgate {
    pub host: Host,
    pub process: Process,
}

impl Sixgate {
    /// Writes the configuration to the host's own `/etc/sixgate.toml`, with a state folder of its own, starts `sixgate up` and waits until it serves.
    pub fn start(host: &Host, config: &str) -> Self {
        let sixgate = Self::spawn(host, config);
        sixgate.process.wait_line(" serving ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", sixgate.log()));
        sixgate
    }

    /// As [`Sixgate::start`], without waiting.
    pub fn spawn(host: &Host, config: &str) -> Self {
        write_config(host, config);
        let process = host.spawn(&Command::new(SIXGATE).args(["up", "-v"])).unwrap();
        Self { host: host.clone(), process }
    }

    /// `sixgate status --json`.
    pub fn status(&self) -> Value {
        json(&self.host, &["status", "--json"])
    }

    /// `sixgate leases --json`.
    pub fn leases(&self) -> Vec<Value> {
        json(&self.host, &["leases", "--json"]).as_array().unwrap().clone()
    }

    /// Waits until the status is as wanted, and returns what `pick` found in it.
    pub fn wait_status<T>(&self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> T {
        wait_some(what, PATIENCE, || pick(&self.status()), || format!("{}\n{}", self.status(), self.log()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for the prefix that the ISP delegates.
    pub fn wait_delegated(&self) -> Ipv6Net {
        self.wait_status("a delegated prefix", |status| {
            status["uplink"]["prefixes"][0]["what"].as_str().map(|text| text.parse().unwrap())
        })
    }

    /// Waits for the first current prefix of a LAN, counted from 0.
    pub fn wait_lan_prefix(&self, lan: usize) -> Ipv6Net {
        self.wait_status("a prefix on the LAN", |status| {
            let prefixes = status["lans"][lan]["prefixes"].as_array()?;
            let current = prefixes.iter().find(|prefix| prefix["preferred"] != 0)?;
            Some(current["what"].as_str()?.parse().unwrap())
        })
    }

    /// Stops it as a person would; it must end cleanly.
    pub fn stop(self) {
        let status = self.process.stop(PATIENCE).unwrap();
        assert!(status.success(), "sixgate ended with {status}:\n{}", self.log());
    }

    /// Ends it as a power failure would.
    pub fn kill(self) {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// Runs sixgate's own client in a host; its JSON.
fn json(host: &Host, arguments: &[&str]) -> Value {
    // A line that is very long comes in pieces.
    let text = output(host, SIXGATE, arguments).replace('\n', "");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?} is not JSON ({error}): {text}"))
}

/// Runs a program in a host to its end and returns what it printed, both streams; it must succeed.
pub fn output(host: &Host, program: &str, arguments: &[&str]) -> String {
    let process = host.spawn(&Command::new(program).args(arguments)).unwrap();
    let status = process.wait(PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", process.output()));
    assert!(status.success(), "{program} {arguments:?} ended with {status}:\n{}", process.output());
    process.output()
}

/// Waits until a host has an address in `net` that is no longer tentative.
pub fn wait_in(host: &Host, interface: &str, net: Ipv6Net) -> Ipv6Addr {
    host.wait_address(interface, |address| net.contains(&address), PATIENCE).unwrap()
}
