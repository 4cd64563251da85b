//! A segment with a gateway, a NAT64 on it, and hosts.

use crate::network::*;
use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{Capture, Command, Host, Lab, Link, Process, wait_some};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

/// ```text
/// new eth0 ---+
/// old eth0 ---+- lan0 gw wan0 ---- eth0 far
/// third eth0 -+
/// ```
/// Only `wan0` has IPv4 before sixgate runs.
pub struct Segment {
    pub gw: Host,
    pub far: Host,
    pub new: Host,
    pub old: Host,
    pub third: Host,
    pub seen: Capture,
    /// Last: what runs in it ends with it.
    pub lab: Lab,
}

/// The LAN, with a range that can be told from what a test gives itself, and the shortest lease that option 108 allows.
pub const LAN: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nipv4 = \"192.168.7.1/24\"\n\
                       ipv4-range = \"192.168.7.100-192.168.7.199\"\nipv4-lease = \"5m\"\n";
/// And the way to IPv4 for those that have none.
pub const NAT64: &str = "[nat64]\nprefix = \"2001:db8:64::/96\"\n";

/// Both.
pub fn mostly() -> String {
    format!("{LAN}{NAT64}")
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

impl Segment {
    pub fn new(name: &str) -> Self {
        sixgate_lab::root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [gw, far] = ["gw", "far"].map(|name| lab.host(name).unwrap());
        let [new, old, third] = ["new", "old", "third"].map(|name| lab.host(name).unwrap());
        let segment = lab.segment("lan").unwrap();
        segment.attach(&gw, "lan0").unwrap();
        for host in [&new, &old, &third] {
            segment.attach(host, "eth0").unwrap();
        }
        drop(segment);
        lab.link(Link::between((&gw, "wan0"), (&far, "eth0"))).unwrap();
        far.add_address("eth0", net("198.51.100.2/24")).unwrap();
        gw.add_address("wan0", net("198.51.100.1/24")).unwrap();
        let this = Self { seen: gw.capture("lan0").unwrap(), gw, far, new, old, third, lab };
        this.give_way_out();
        this
    }

    /// The IPv4 that the NAT64 needs.
    pub fn give_way_out(&self) {
        self.gw.add_route(net("0.0.0.0/0"), Some("198.51.100.2".parse().unwrap()), "wan0").unwrap();
    }

    pub fn take_way_out(&self) {
        output(&self.gw, "ip", &["-4", "route", "del", "default"]);
    }

    /// Starts sixgate and waits until clients may be told.
    pub fn serve(&self, config: &str) -> Sixgate {
        let sixgate = Sixgate::start(&self.gw, config);
        wait_told(&sixgate, true);
        sixgate
    }

    /// All that the gateway said over DHCPv4 is well-formed to an independent dissector, checksums included.
    /// How many frames went to hosts without an address.
    pub fn end(self, sixgate: Sixgate) -> usize {
        sixgate.stop();
        self.seen.stop().unwrap();
        let sent = self.seen.fields("udp.srcport == 67", &["dhcp.option.dhcp"]).unwrap();
        assert!(!sent.is_empty(), "{}", self.seen.summary());
        self.seen.assert_clean("udp.srcport == 67").unwrap();
        // Offers that are not broadcast are frames of ours, complete when they leave; of what the kernel sends the checksum may be left to
        // the device.
        let frames = "udp.srcport == 67 && ip.dst != 255.255.255.255 && dhcp.option.dhcp == 2";
        let right = "ip.checksum.status == \"Good\" && udp.checksum.status == \"Good\"";
        let count = |filter: &str| {
            let mut tshark = std::process::Command::new("tshark");
            tshark.args([
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
                "-n",
                "-Y",
                filter,
                "-r",
            ]);
            let found = tshark.arg(self.seen.file()).output().unwrap();
            assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
            String::from_utf8_lossy(&found.stdout).lines().count()
        };
        assert_eq!(count(frames), count(&format!("{frames} && {right}")));
        count(frames)
    }
}

/// Waits until option 108 is given, or no longer given, on the LAN.
pub fn wait_told(sixgate: &Sixgate, told: bool) {
    sixgate.wait_status(if told { "option 108" } else { "no option 108" }, |status| {
        let ipv4 = &status["lans"][0]["ipv4"];
        (ipv4.is_object() && ipv4["option_108"].is_u64() == told).then_some(())
    });
}

/// `sixgate pilot ARGUMENTS`, and what it then is.
pub fn pilot(sixgate: &Sixgate, arguments: &[&str]) -> Value {
    if !arguments.is_empty() {
        output(&sixgate.host, SIXGATE, &[&["pilot"], arguments].concat());
    }
    view(sixgate, "pilot")
}

/// What the control socket says: longer than what a program's output is kept of.
pub fn view(sixgate: &Sixgate, view: &str) -> Value {
    let ask = || {
        let mut socket = UnixStream::connect("/run/sixgate/control").unwrap();
        writeln!(socket, "{view}").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    let text = sixgate.host.run(ask);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{view} is not JSON ({error}): {text}"))
}

/// The IPv4 address of the host's `eth0`.
pub fn address(host: &Host) -> Option<String> {
    let text = output(host, "ip", &["-4", "-o", "addr", "show", "dev", "eth0"]);
    Some(text.split_whitespace().skip_while(|word| *word != "inet").nth(1)?.split('/').next()?.to_owned())
}

/// Waits until the host has an address that was leased to it and works: the gateway answers.
pub fn wait_leased(sixgate: &Sixgate, host: &Host) -> String {
    let what = format!("an IPv4 address on {}", host.name());
    let address =
        wait_some(&what, PATIENCE, || address(host), || format!("{}\n{}", sixgate.log(), host.state()))
            .unwrap_or_else(|error| panic!("{error}"));
    let leases = sixgate.leases();
    assert!(
        leases.iter().any(|lease| lease["resource"] == *address && lease["state"] == "bound"),
        "{leases:?}"
    );
    output(host, "ping", &["-c", "1", "-W", "5", "192.168.7.1"]);
    address
}

pub fn dhcpcd(host: &Host, options: &str) -> Process {
    let common = "duid\nhostname laptop\nnohook resolv.conf\nnoipv6\nnoipv4ll\nnodelay\nnoarp\n";
    host.write_file("/run/dhcpcd.conf", format!("{common}{options}\n")).unwrap();
    // Its leases are the host's own, and not those of other tests.
    output(host, "sh", &["-c", "mountpoint -q /var/lib/dhcpcd || mount -t tmpfs none /var/lib/dhcpcd"]);
    let arguments = ["-4", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"];
    host.spawn(&Command::new("dhcpcd").args(arguments)).unwrap()
}

/// Waits until dhcpcd does without IPv4: it hears of option 108 at once, but takes no offer without an address, asks again, and heeds the
/// one with an address that it gets then.
pub fn wait_heeded(sixgate: &Sixgate, laptop: &Process) {
    laptop.wait_line("IPv6-Only Preferred received (300 seconds)", PATIENCE).unwrap();
    sixgate.wait_status("dhcpcd asks again", |status| (status["dhcpv4"]["told-again"] == 1).then_some(()));
}

/// A laptop that can do without IPv4.
pub const CAPABLE: &str = "option ipv6_only_preferred";

pub fn dhclient(host: &Host) -> Process {
    let files = ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
    host.write_file("/run/dhclient.conf", "send host-name \"desktop\";\n").unwrap();
    host.write_file("/run/dhclient.leases", "").unwrap();
    host.spawn(&Command::new("dhclient").args(["-4", "-d", "-v"]).args(files).arg("eth0")).unwrap()
}

/// udhcpc with a script that does what it is told.
pub fn udhcpc(lab: &Lab, host: &Host) -> Process {
    let script = lab.folder().join(format!("{}-udhcpc.sh", host.name()));
    let text = "#!/bin/sh\ncase $1 in\nbound | renew) ip addr replace $ip/$mask dev $interface\n\
                [ -z \"$router\" ] || ip route replace default via $router dev $interface ;;\n\
                deconfig) ip -4 addr flush dev $interface ;;\nesac\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let udhcpc =
        Command::new("udhcpc").args(["-f", "-i", "eth0", "-x", "hostname:printer", "-t", "20", "-s"]);
    host.spawn(&udhcpc.arg(&script)).unwrap()
}
