//! A network whose DHCPv6 server is elsewhere.

use crate::network::*;
use ipnet::Ipv6Net;
use serde_json::Value;
use sixgate_lab::{AcceptRa, Capture, Command, Host, Lab, Link, Process, root_for_tests, wait_some};
use std::net::Ipv6Addr;

/// ```text
/// server net0 ---- wan0 gw lan0 ---- eth0 alice eth1 ---- eth0 carol
/// ```
/// `gw` relays; its way to the server, and the server's to the networks behind it, are static.
pub struct World {
    pub server: Host,
    pub gw: Host,
    pub alice: Host,
    pub carol: Host,
    /// What passes the clients' LAN.
    pub lan: Capture,
    /// What passes between relay agent and server.
    pub wan: Capture,
    /// Taken only while it restarts.
    pub relay: Option<Sixgate>,
    config: String,
    /// Last: what runs in it ends with it.
    pub lab: Lab,
}

pub const SERVER: &str = "2001:db8:0:1::1";
pub const UPLINK: &str = "2001:db8:0:1::2";
/// The clients' LAN, where prefixes are delegated from, and our own address on it.
pub const LAN: &str = "2001:db8:1::/64";
pub const POOL: &str = "2001:db8:100::/40";
pub const ON_LAN: &str = "2001:db8:1::1";

/// A relay agent in five lines; `more` belongs to the LAN, or begins a section.
pub fn config(more: &str) -> String {
    format!(
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"{LAN}\"]\nslaac = false\nrelay = [\"{SERVER}\"]\n{more}"
    )
}

/// What a client holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub address: Ipv6Addr,
    pub prefix: Ipv6Net,
}

impl World {
    /// The network, without server and relay agent.
    pub fn new(name: &str, config: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let (server, gw) = (lab.router("server").unwrap(), lab.host("gw").unwrap());
        let [alice, carol] = ["alice", "carol"].map(|name| lab.host(name).unwrap());
        lab.link(Link::between((&server, "net0"), (&gw, "wan0"))).unwrap();
        lab.link(Link::between((&gw, "lan0"), (&alice, "eth0"))).unwrap();
        lab.link(Link::between((&alice, "eth1"), (&carol, "eth0"))).unwrap();
        server.add_address_nodad("lo", net(&format!("{FAR}/128"))).unwrap();
        server.add_address_nodad("net0", net(&format!("{SERVER}/64"))).unwrap();
        gw.set_accept_ra("wan0", AcceptRa::Never).unwrap();
        gw.add_address_nodad("wan0", net(&format!("{UPLINK}/64"))).unwrap();
        gw.add_route(net("::/0"), Some(SERVER.parse().unwrap()), "wan0").unwrap();
        for behind in [LAN, POOL] {
            server.add_route(net(behind), Some(UPLINK.parse().unwrap()), "net0").unwrap();
        }
        let (lan, wan) = (gw.capture("lan0").unwrap(), gw.capture("wan0").unwrap());
        Self { server, gw, alice, carol, lan, wan, relay: None, config: config.to_owned(), lab }
    }

    /// Starts the relay agent, or starts it again.
    pub fn start(&mut self) {
        self.relay = Some(Sixgate::start(&self.gw, &self.config));
        wait_in(&self.gw, "lan0", LAN.parse().unwrap());
    }

    pub fn relay(&self) -> &Sixgate {
        self.relay.as_ref().expect("it runs")
    }

    /// Ends the relay agent as a power failure of its program would, and starts it again.
    pub fn crash(&mut self) {
        self.relay.take().expect("it runs").kill();
        self.start();
    }

    /// The delegations that the relay agent tells of.
    pub fn delegations(&self) -> Vec<Value> {
        self.relay().status()["relay"]["delegations"].as_array().expect("a relay").clone()
    }

    /// One of the relay agent's counters.
    pub fn counter(&self, name: &str) -> u64 {
        self.relay().status()["relay"]["counters"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// Waits until the relay agent has counted so far.
    pub fn wait_counter(&self, name: &str, least: u64) {
        let look = || (self.counter(name) >= least).then_some(());
        self.wait(&format!("{least} {name}"), look);
    }

    /// Waits for a condition; the network's state explains why it did not come.
    pub fn wait<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait_some(what, PATIENCE, look, || self.state()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until alice has an address and a prefix through the relay agent, the prefix's route leads to
    /// her, and packets from afar arrive.
    pub fn wait_held(&self) -> Held {
        let prefix = self.wait("a delegation", || {
            let delegations = self.delegations();
            assert!(delegations.len() < 2, "{delegations:?}");
            Some(delegations.first()?["prefix"].as_str()?.parse::<Ipv6Net>().expect("a prefix"))
        });
        let address = wait_in(&self.alice, "eth0", LAN.parse().unwrap());
        let held = Held { address, prefix };
        self.assert_routed(&held);
        held
    }

    /// The route of a delegation leads to alice, and she is reached from afar.
    pub fn assert_routed(&self, held: &Held) {
        let via = self.alice.wait_link_local("eth0", PATIENCE).unwrap();
        let route = format!("{} via {via} dev lan0", held.prefix);
        self.wait(&format!("a route {route}"), || self.routes().contains(&route).then_some(()));
        assert!(POOL.parse::<Ipv6Net>().unwrap().contains(&held.prefix), "{held:?}");
        self.assert_reached(held.address);
    }

    /// The routes that the relay agent made in its kernel.
    pub fn routes(&self) -> String {
        output(&self.gw, "ip", &["-6", "route", "show", "proto", "86"])
    }

    /// Packets from afar reach an address, and the answers come back.
    pub fn assert_reached(&self, address: Ipv6Addr) {
        let ping = Command::new("ping").args(["-c", "1", "-W", "1", "-I", FAR, &address.to_string()]);
        let reached = || self.server.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success();
        self.wait(&format!("an answer from {address}"), || reached().then_some(()));
    }

    /// Makes alice a router: carol gets an address of the delegated prefix, which is returned, and sends all
    /// she has to alice.
    pub fn route_downstream(&self, held: &Held) -> Ipv6Addr {
        let [router, carol] = [1, 2].map(|host| Ipv6Addr::from(u128::from(held.prefix.network()) | host));
        let alice = &self.alice;
        alice.set_accept_ra("eth0", AcceptRa::Always).unwrap();
        alice.set_forwarding(true).unwrap();
        alice.add_address_nodad("eth1", net(&format!("{router}/64"))).unwrap();
        self.carol.add_address_nodad("eth0", net(&format!("{carol}/64"))).unwrap();
        self.carol.add_route(net("::/0"), Some(router.into()), "eth0").unwrap();
        self.assert_reached(carol);
        carol
    }

    /// Waits for one more Renew or Rebind of alice's, answered.
    pub fn wait_renewed(&self) {
        let asked = "dhcpv6.msgtype in {5, 6} && !dhcpv6.hopcount";
        let before = self.lan.fields(asked, &["dhcpv6.xid"]).unwrap().len();
        let xids = self.lan.wait_fields(asked, &["dhcpv6.xid"], before + 1, PATIENCE).unwrap();
        let xid = &xids.last().unwrap()[0];
        let reply = format!("dhcpv6.msgtype == 7 && dhcpv6.xid == {xid}");
        self.lan.wait_fields(&reply, &["dhcpv6.xid"], 1, PATIENCE).unwrap();
    }

    /// Waits until nothing is delegated any longer, and no route is left.
    pub fn wait_released(&self, held: &Held) {
        let gone = || self.delegations().is_empty() && !self.routes().contains(&held.prefix.to_string());
        self.wait("the end of the delegation", || gone().then_some(()));
        self.lan.wait_fields("dhcpv6.msgtype == 8", &["dhcpv6.xid"], 1, PATIENCE).unwrap();
    }

    /// The payloads of the relay agent's Relay-forwards, in hexadecimal.
    pub fn forwards(&self) -> Vec<String> {
        self.told(&["udp.payload"]).into_iter().flatten().collect()
    }

    /// What the relay agent told the server of itself and of the client: the fields of its Relay-forwards.
    pub fn told(&self, fields: &[&str]) -> Vec<Vec<String>> {
        self.wan.wait_fields("dhcpv6.msgtype == 12", fields, 1, PATIENCE).unwrap()
    }

    /// Ends the relay agent; all that it sent must have been well-formed.
    pub fn end(mut self) {
        let released = !self.routes().contains("lan0");
        self.relay.take().expect("it runs").stop();
        assert!(released || self.routes().trim().is_empty(), "routes stay: {}", self.routes());
        for (capture, interface) in [(&self.lan, "lan0"), (&self.wan, "wan0")] {
            capture.stop().unwrap();
            let ours = format!("eth.src == {} && dhcpv6", mac(&self.gw, interface));
            assert!(!capture.fields(&ours, &["frame.number"]).unwrap().is_empty(), "{}", capture.summary());
            capture.assert_clean(&ours).unwrap();
        }
    }

    /// For a person, when a test fails.
    pub fn state(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}\n{}",
            self.lab.state(),
            self.routes(),
            self.relay.as_ref().map(Sixgate::log).unwrap_or_default(),
            self.lan.summary(),
            self.wan.summary()
        )
    }
}

/// An interface's Ethernet address.
pub fn mac(host: &Host, interface: &str) -> String {
    let link: Value = serde_json::from_str(&output(host, "ip", &["-j", "link", "show", interface])).unwrap();
    link[0]["address"].as_str().unwrap().to_owned()
}

/// Octets as tshark writes them.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}"))
}

/// Starts a program that goes on until the lab ends.
pub fn run(host: &Host, program: &str, arguments: &[&str]) -> Process {
    host.spawn(&Command::new(program).args(arguments)).unwrap()
}

/// Starts Kea on the server; `more` belongs to the clients' subnet, `global` to the server. Clients renew
/// after five seconds.
pub fn kea(host: &Host, more: &str, global: &str) -> Process {
    let config = format!(
        r#"{{ "Dhcp6": {{
            "interfaces-config": {{ "interfaces": [ "net0/{SERVER}" ] }},
            "lease-database": {{ "type": "memfile", "persist": false }},
            "server-id": {{ "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false }},
            "renew-timer": 5, "rebind-timer": 40, "preferred-lifetime": 50, "valid-lifetime": 60, {global}
            "subnet6": [ {{ "id": 1, "subnet": "{LAN}", {more}
                "pools": [ {{ "pool": "2001:db8:1::1000-2001:db8:1::1fff" }} ],
                "pd-pools": [ {{ "prefix": "2001:db8:100::", "prefix-len": 40, "delegated-len": 56 }} ] }} ],
            "loggers": [ {{ "name": "kea-dhcp6", "severity": "INFO",
                "output_options": [ {{ "output": "stdout" }} ] }} ]
        }} }}"#
    );
    host.wait_link_local("net0", PATIENCE).unwrap();
    host.write_file("/run/kea/kea.conf", config).unwrap();
    let command = Command::new("kea-dhcp6").args(["-c", "/run/kea/kea.conf"]);
    let command = command.env("KEA_PIDFILE_DIR", "/run/kea").env("KEA_LOCKFILE_DIR", "/run/kea");
    let kea = host.spawn(&command).unwrap();
    kea.wait_line("DHCP6_STARTED", PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", kea.output()));
    kea
}
