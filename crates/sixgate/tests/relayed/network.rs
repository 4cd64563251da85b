//! A server, a relay agent and a client.

use ipnet::{IpNet, Ipv6Net};
use serde_json::Value;
use sixgate_lab::{Capture, Command, Host, Lab, Link, Process, Signal, root_for_tests, wait_some};
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The server's address, and that of the relay agent's line to it.
pub const SERVER: &str = "2001:db8:ff::547";
pub const RELAY: &str = "2001:db8:ff::1";
/// The relay agent's address on the clients' link.
pub const LINK: &str = "2001:db8:1::1";

/// ```text
/// client eth0 ---- lan0 relay core0 ---- eth0 server
///          2001:db8:1::1   2001:db8:ff::1    ::547
/// ```
pub struct Network {
    pub client: Host,
    pub relay: Host,
    pub server: Host,
    /// All that passes between relay agent and server.
    pub seen: Capture,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

pub fn net(text: &str) -> IpNet {
    text.parse::<Ipv6Net>().unwrap().into()
}

impl Network {
    pub fn new(name: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [client, relay, server] = ["client", "relay", "server"].map(|name| lab.host(name).unwrap());
        relay.set_forwarding(true).unwrap();
        lab.link(Link::between((&client, "eth0"), (&relay, "lan0"))).unwrap();
        lab.link(Link::between((&relay, "core0"), (&server, "eth0"))).unwrap();
        relay.add_address_nodad("lan0", net(&format!("{LINK}/64"))).unwrap();
        relay.add_address_nodad("core0", net(&format!("{RELAY}/64"))).unwrap();
        server.add_address_nodad("eth0", net(&format!("{SERVER}/64"))).unwrap();
        let seen = server.capture("eth0").unwrap();
        Self { client, relay, server, seen, _lab: lab }
    }

    /// dnsmasq as the relay agent.
    pub fn start_relay(&self) -> Process {
        let relay = format!("--dhcp-relay={LINK},{SERVER}");
        let command =
            Command::new("dnsmasq").args(["--conf-file=/dev/null", "--no-daemon", "--port=0", "--user=root"]);
        let process = self
            .relay
            .spawn(&command.arg(&relay).args(["--log-dhcp", "--pid-file=/run/dnsmasq.pid"]))
            .unwrap();
        process.wait_line("relay", PATIENCE).unwrap();
        process
    }

    /// Everything that we sent is as tshark knows it, and something was.
    pub fn assert_clean(&self) {
        let sent = self.seen.fields("dhcpv6.msgtype == 13 && udp.srcport == 547", &["frame.number"]).unwrap();
        assert!(!sent.is_empty(), "{}", self.seen.summary());
        self.seen.assert_clean("dhcpv6").unwrap();
    }
}

/// A server that has nothing but links behind relay agents; `subnet` is added to the first.
pub fn config(subnet: &str) -> String {
    format!(
        "state = \"/run/sixgate/state\"\n[relays]\ninterfaces = [\"eth0\"]\nfrom = [\"{RELAY}\"]\n\
         [[subnet]]\nname = \"street\"\nprefixes = [\"2001:db8:1::/64\"]\ndelegate-from = [\"2001:db8:1000::/40\"]\n\
         dns = [\"2001:db8::53\"]\n{subnet}\n"
    )
}

/// A running `sixgate up`.
pub struct Sixgate {
    pub host: Host,
    pub process: Process,
}

impl Sixgate {
    pub fn start(host: &Host, config: &str) -> Self {
        host.write_file("/etc/sixgate.toml", config).unwrap();
        let process = host.spawn(&Command::new(SIXGATE).args(["up", "-v"])).unwrap();
        process.wait_line(" serving ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", process.output()));
        Self { host: host.clone(), process }
    }

    /// Another configuration, while it runs.
    pub fn reload(&self, config: &str) {
        self.host.write_file("/etc/sixgate.toml", config).unwrap();
        self.process.signal(Signal::SIGHUP).unwrap();
        self.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    }

    /// `sixgate ... --json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = output(&self.host, SIXGATE, &[arguments, &["--json"]].concat());
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{arguments:?} is not JSON ({error}): {text}"))
    }

    pub fn leases(&self) -> Vec<Value> {
        self.json(&["leases"]).as_array().unwrap().clone()
    }

    /// Waits until the leases are as wanted, and returns what `pick` found in them.
    pub fn wait_leases<T>(&self, what: &str, mut pick: impl FnMut(&[Value]) -> Option<T>) -> T {
        let state = || format!("{:?}\n{}\n{}", self.leases(), self.json(&["status"]), self.process.output());
        wait_some(what, PATIENCE, || pick(&self.leases()), state).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Ends it as a power failure would, and starts it again.
    pub fn crash(self, config: &str) -> Self {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
        Self::start(&self.host, config)
    }
}

/// Runs a program to its end, which must be a success; what it printed.
pub fn output(host: &Host, program: &str, arguments: &[&str]) -> String {
    let process = host.spawn(&Command::new(program).args(arguments)).unwrap();
    let status = process.wait(PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", process.output()));
    assert!(status.success(), "{program} {arguments:?} ended with {status}:\n{}", process.output());
    process.output()
}

/// Runs `sixgate` and returns what it said, with its exit code.
pub fn said(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let process = host.spawn(&Command::new(SIXGATE).args(arguments)).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    (status.code(), process.output())
}
