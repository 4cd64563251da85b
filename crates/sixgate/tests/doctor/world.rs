//! A laptop on somebody else's LAN, its gateway, the ISP, a far host.

use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{
    AcceptRa, Buffer, Command, Host, Impairment, Lab, Link, Process, Transport, root_for_tests, wait_for,
};
use std::net::IpAddr;
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Where the far host is.
pub const FAR: &str = "2001:db8:f::80";
/// The gateway on the LAN.
pub const GATEWAY: &str = "2001:db8:1::1";

/// ```text
/// laptop eth0 --\
///                lan (a segment) -- lan0 gw wan0 ==== cust0 isp core0 ---- eth0 far
/// rogue eth0 ---/
/// ```
pub struct World {
    pub laptop: Host,
    pub rogue: Host,
    pub gw: Host,
    pub isp: Host,
    pub far: Host,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

impl World {
    /// A fast line.
    pub fn new(name: &str) -> Self {
        Self::with(name, &Impairment { delay: Duration::from_millis(2), ..Impairment::default() })
    }

    /// The ISP's line is slow and its buffers are deep: 10 Mbit/s and 400 ms.
    pub fn bloated(name: &str) -> Self {
        let buffer = Buffer::Time(Duration::from_millis(400));
        let delay = Duration::from_millis(5);
        Self::with(name, &Impairment { rate: Some(10_000_000), delay, buffer, ..Impairment::default() })
    }

    /// A line that does not occupy the whole machine when it is loaded, and does not queue: 40 Mbit/s.
    pub fn paced(name: &str) -> Self {
        let (buffer, delay) = (Buffer::Time(Duration::from_millis(10)), Duration::from_millis(2));
        Self::with(name, &Impairment { rate: Some(40_000_000), delay, buffer, ..Impairment::default() })
    }

    /// The ISP's line loses packets, on the way up.
    pub fn lossy(name: &str) -> Self {
        Self::with(name, &Impairment { loss: 0.25, delay: Duration::from_millis(2), ..Impairment::default() })
    }

    fn with(name: &str, line: &Impairment) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [laptop, rogue, far] = ["laptop", "rogue", "far"].map(|name| lab.host(name).unwrap());
        let [gw, isp] = ["gw", "isp"].map(|name| lab.router(name).unwrap());
        laptop.set_accept_ra("default", AcceptRa::Host).unwrap();
        gw.set_accept_ra("default", AcceptRa::Never).unwrap();
        let lan = lab.segment("lan").unwrap();
        for (host, interface) in [(&gw, "lan0"), (&laptop, "eth0"), (&rogue, "eth0")] {
            lan.attach(host, interface).unwrap();
        }
        lab.link(Link::between((&gw, "wan0"), (&isp, "cust0")).impairments(line.clone(), line.clone()))
            .unwrap();
        lab.link(Link::between((&isp, "core0"), (&far, "eth0"))).unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        for (host, interface, address) in [
            (&gw, "lan0", "2001:db8:1::1/64"),
            (&gw, "wan0", "2001:db8:2::2/64"),
            (&isp, "cust0", "2001:db8:2::1/64"),
            (&isp, "core0", "2001:db8:f::1/64"),
            (&far, "eth0", "2001:db8:f::80/64"),
            (&rogue, "eth0", "2001:db8:bad::1/64"),
        ] {
            host.add_address_nodad(interface, net(address)).unwrap();
        }
        for (host, interface, hop) in [
            (&gw, "wan0", "2001:db8:2::1"),
            (&isp, "cust0", "2001:db8:2::2"),
            (&far, "eth0", "2001:db8:f::1"),
        ] {
            host.add_route(net("::/0"), Some(hop.parse::<IpAddr>().unwrap()), interface).unwrap();
        }
        for (host, interface) in [(&laptop, "eth0"), (&gw, "lan0"), (&rogue, "eth0")] {
            host.wait_link_local(interface, PATIENCE).unwrap();
        }
        Self { laptop, rogue, gw, isp, far, _lab: lab }
    }

    /// radvd on the LAN, and what it says of it.
    pub fn radvd(host: &Host, interface: &str, says: &str) -> Process {
        let config = format!(
            "interface {interface} {{ AdvSendAdvert on; MaxRtrAdvInterval 4; MinRtrAdvInterval 3; AdvDefaultLifetime 1800; {says} }};\n"
        );
        host.write_file("/run/radvd.conf", config).unwrap();
        spawn(host, "radvd -n -m stderr -C /run/radvd.conf -p /run/radvd.pid -u root")
    }

    /// The usual: a prefix with sane lifetimes, and the gateway as resolver.
    pub fn usual() -> String {
        format!("{} RDNSS {GATEWAY} {{ AdvRDNSSLifetime 1800; }};", Self::prefix("2001:db8:1::/64"))
    }

    pub fn prefix(prefix: &str) -> String {
        format!("prefix {prefix} {{ AdvValidLifetime 5400; AdvPreferredLifetime 2700; }};")
    }

    /// A resolver on the gateway that knows a few names.
    pub fn dnsmasq(&self, more: &str) -> Process {
        let line = format!(
            "dnsmasq -k --conf-file=/dev/null --local=/arpa/ --no-resolv --no-hosts --user=root --pid-file=/run/dnsmasq.pid \
             --interface=lan0 --bind-dynamic --log-facility=- {more}"
        );
        let process = spawn(&self.gw, line.trim());
        wait_for("dnsmasq to listen", PATIENCE, || self.gw.listening(Transport::Udp, 53)).unwrap();
        process
    }

    /// Waits until the laptop has an address of this prefix.
    pub fn settled(&self) {
        let ours = |address: std::net::Ipv6Addr| address.to_string().starts_with("2001:db8:1:");
        self.laptop.wait_address("eth0", ours, PATIENCE).unwrap();
    }

    /// What doctor says: JSON, and the exit code.
    pub fn doctor(&self, arguments: &str) -> (Value, Option<i32>) {
        let line = format!("{SIXGATE} doctor --interface eth0 --json {arguments}");
        let process = spawn(&self.laptop, line.trim());
        let status = process.wait(PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", process.output()));
        let said = process.output();
        let begin = said.find('{').unwrap_or_else(|| panic!("no JSON: {said}"));
        let mut values = serde_json::Deserializer::from_str(&said[begin..]).into_iter::<Value>();
        (values.next().unwrap().unwrap_or_else(|error| panic!("{error}: {said}")), status.code())
    }
}

/// The ids of findings, in their order.
pub fn ids(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts a program in a host; the line is split at blanks.
pub fn spawn(host: &Host, line: &str) -> Process {
    let mut words = line.split_ascii_whitespace();
    host.spawn(&Command::new(words.next().unwrap()).args(words)).unwrap()
}

/// Runs a program in a host; what it prints.
pub fn run(host: &Host, line: &str) -> String {
    let process = spawn(host, line);
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{line}: {status}\n{}", process.output());
    process.output()
}

/// What a host's network looks like, but for counters and lifetimes.
pub fn state(host: &Host) -> Vec<String> {
    let without = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains("valid_lft"));
        lines.map(|line| line.split(" expires").next().unwrap().to_owned()).collect()
    };
    let mut state = Vec::new();
    for line in [
        "ip -br link",
        "ip addr",
        "ip -4 route",
        "ip -6 route",
        "ip rule",
        "nft list ruleset",
        "tc qdisc show",
    ] {
        state.extend(without(&run(host, line)));
    }
    state.push(host.read_file("/etc/resolv.conf").unwrap_or_default());
    state
}
