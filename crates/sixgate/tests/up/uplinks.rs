//! The uplink before ISPs that we did not write: Kea and dibbler delegate, radvd advertises, and on the customer's line
//! tshark judges every packet that the gateway sends.

mod conformance;
mod dibbler;
mod kea;
mod renumbering;

use crate::network::*;
use ipnet::Ipv6Net;
use serde_json::Value;
use sixgate_lab::{Capture, Command, Host, Process, Signal, Transport, wait_some};
use std::net::IpAddr;

/// All that the ISPs here delegate from; routed to the customer.
const DELEGATED: &str = "2001:db8:100::/40";
/// What an ISP delegates from after it has renumbered.
const RENUMBERED: &str = "2001:db8:200::/40";
/// The ISP's range of addresses for its customers' gateways.
const ADDRESSES: &str = "2001:db8:0:1::1000-2001:db8:0:1::1fff";
const PAGE: &str = "far away\n";

/// The customer's line, as the ISP sees it.
pub struct Line {
    seen: Capture,
    gateway: String,
}

impl Line {
    pub fn watch(home: &Home) -> Self {
        let gateway = output(&home.gw, "cat", &["/sys/class/net/wan0/address"]).trim().to_owned();
        Self { seen: home.isp.capture("cust0").unwrap(), gateway }
    }

    /// How many packets of the gateway `filter` selects.
    pub fn sent(&self, filter: &str) -> usize {
        self.fields(filter, "frame.number").len()
    }

    /// One field of the packets of the gateway that `filter` selects.
    pub fn fields(&self, filter: &str, field: &str) -> Vec<String> {
        let filter = format!("eth.src == {} && ({filter})", self.gateway);
        let rows = self.seen.fields(&filter, &[field]).unwrap();
        rows.into_iter().filter_map(|mut row| row.pop()).collect()
    }

    /// The capture itself, with what the ISP sent.
    pub fn capture(&self) -> &Capture {
        &self.seen
    }

    /// The line at its end: the gateway spoke, and a dissector that we did not write finds no fault in any of it.
    pub fn judge(self) {
        self.seen.stop().unwrap();
        assert!(self.sent("dhcpv6") > 0, "{}", self.seen.summary());
        self.seen.assert_clean(&format!("eth.src == {}", self.gateway)).unwrap();
    }
}

/// What an ISP has beside DHCPv6: router advertisements on the line, the way to its customer, a resolver that knows
/// `far.example`, and behind it a web server.
pub fn internet(home: &Home) {
    advertise(&home.isp, "2001:db8:0:1::/64", "off");
    let gateway = IpAddr::from(home.gw.wait_link_local("wan0", PATIENCE).unwrap());
    for prefix in [DELEGATED, RENUMBERED] {
        home.isp.add_route(net(prefix), Some(gateway), "cust0").unwrap();
    }
    serve(home);
}

/// Starts radvd on the line: managed addresses, a default route, and `prefix` on the link, `autonomous` (on, off) or not.
pub fn advertise(isp: &Host, prefix: &str, autonomous: &str) {
    let text = format!(
        "interface cust0 {{ AdvSendAdvert on; AdvManagedFlag on; AdvOtherConfigFlag on;\n\
         MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800;\n\
         prefix {prefix} {{ AdvOnLink on; AdvAutonomous {autonomous}; }}; }};\n"
    );
    isp.write_file("/etc/radvd.conf", text).unwrap();
    let arguments = ["-n", "-m", "stderr", "-C", "/etc/radvd.conf", "-p", "/run/radvd.pid"];
    isp.spawn(&Command::new("radvd").args(arguments)).unwrap();
}

/// Starts the web server and the resolver.
pub fn serve(home: &Home) {
    home.isp.write_file("/run/www/index.html", PAGE).unwrap();
    let web = ["-m", "http.server", "80", "--bind", "::", "--directory", "/run/www"];
    home.isp.spawn(&Command::new("python3").args(web)).unwrap();
    let name = format!("--host-record=far.example,{FAR}");
    let dns = [
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--conf-file=/dev/null",
    ];
    home.isp.spawn(&Command::new("dnsmasq").args(dns).arg(name)).unwrap();
    for (transport, port) in [(Transport::Tcp, 80), (Transport::Udp, 53)] {
        home.isp.wait_for("the ISP's servers", PATIENCE, || home.isp.listening(transport, port)).unwrap();
    }
}

/// Waits until a host gets the far page.
pub fn wait_browses(host: &Host, url: &str) {
    let mut last = String::new();
    let fetched = || {
        let process = host.spawn(&Command::new("curl").args(["-sS", "--max-time", "3", url])).unwrap();
        let status = process.wait(PATIENCE).unwrap();
        last = process.output();
        (status.success() && last == PAGE).then_some(())
    };
    let done = wait_some(&format!("{url} on {}", host.name()), PATIENCE, fetched, || host.state());
    done.unwrap_or_else(|error| panic!("{error}\nlast: {last}"));
}

/// Lets a host resolve by the gateway's address in `lan`, and get the far page by its name.
pub fn wait_browses_by_name(host: &Host, lan: Ipv6Net) {
    host.write_file("/etc/resolv.conf", format!("nameserver {}1\n", lan.network())).unwrap();
    wait_browses(host, "http://far.example/");
}

/// The far page by its address.
pub fn far() -> String {
    format!("http://[{FAR}]/")
}

/// A host's addresses within `net` that may be used, and whether each is deprecated.
pub fn held_in(host: &Host, interface: &str, net: Ipv6Net) -> Vec<bool> {
    let addresses = host.addresses().into_iter();
    let held = addresses.filter(|a| a.interface == interface && net.contains(&a.net.addr()) && !a.tentative);
    held.map(|a| a.deprecated).collect()
}

/// The valid seconds that are left of the first delegated prefix.
pub fn valid(status: &Value) -> Option<u64> {
    status["uplink"]["prefixes"][0]["valid"].as_u64()
}

/// Waits until the leases were extended: time that only runs down has become more.
pub fn wait_extended(gateway: &Sixgate) {
    let mut least = u64::MAX;
    gateway.wait_status("an extension of the leases", |status| {
        let now = valid(status)?;
        least = least.min(now);
        (now > least).then_some(())
    });
}

/// Kea at the ISP.
pub struct Kea {
    isp: Host,
    process: Process,
}

/// What Kea gives.
#[derive(Clone)]
pub struct Pools<'a> {
    pub subnet: &'a str,
    pub addresses: Option<&'a str>,
    /// Where /56s come from; a longer prefix is delegated as it is.
    pub prefixes: Option<&'a str>,
    /// A /64 that stays with the ISP (RFC 6603).
    pub excluded: Option<&'a str>,
    /// T1 in seconds; T2 is far away.
    pub t1: u32,
}

impl Default for Pools<'_> {
    fn default() -> Self {
        let (addresses, prefixes) = (Some(ADDRESSES), Some(DELEGATED));
        Self { subnet: "2001:db8:0:1::/64", addresses, prefixes, excluded: None, t1: 2 }
    }
}

impl Kea {
    /// Starts it; it knows the leases of an earlier run unless [`Kea::forget`] was called.
    pub fn start(isp: &Host, pools: &Pools<'_>) -> Self {
        isp.wait_link_local("cust0", PATIENCE).unwrap();
        Self::configure(isp, pools);
        let kea = Command::new("kea-dhcp6").args(["-c", "/run/kea/kea.conf"]);
        let kea = kea.env("KEA_PIDFILE_DIR", "/run/kea").env("KEA_LOCKFILE_DIR", "/run/kea");
        let process = isp.spawn(&kea).unwrap();
        process.wait_line("DHCP6_STARTED", PATIENCE).unwrap();
        Self { isp: isp.clone(), process }
    }

    /// Goes on with other pools. Leases outside of them end with their next renewal.
    pub fn reload(&self, pools: &Pools<'_>) {
        Self::configure(&self.isp, pools);
        self.process.signal(Signal::SIGHUP).unwrap();
    }

    fn configure(isp: &Host, pools: &Pools<'_>) {
        let addresses = pools.addresses.map_or_else(String::new, |pool| format!(r#"{{ "pool": "{pool}" }}"#));
        let prefixes = pools.prefixes.map_or_else(String::new, |pool| {
            let (prefix, length) = pool.split_once('/').unwrap();
            let delegated = length.parse::<u8>().unwrap().max(56);
            let excluded = pools.excluded.map_or_else(String::new, |excluded| {
                format!(r#", "excluded-prefix": "{excluded}", "excluded-prefix-len": 64"#)
            });
            format!(r#"{{ "prefix": "{prefix}", "prefix-len": {length}, "delegated-len": {delegated}{excluded} }}"#)
        });
        let (subnet, t1) = (pools.subnet, pools.t1);
        let text = format!(
            r#"{{ "Dhcp6": {{
                "interfaces-config": {{ "interfaces": [ "cust0" ] }},
                "lease-database": {{ "type": "memfile", "name": "/run/kea/leases.csv", "lfc-interval": 0 }},
                "server-id": {{ "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false }},
                "renew-timer": {t1}, "rebind-timer": 300, "preferred-lifetime": 400, "valid-lifetime": 600,
                "option-data": [ {{ "name": "dns-servers", "data": "{ISP}" }} ],
                "subnet6": [ {{ "id": 1, "subnet": "{subnet}", "interface": "cust0",
                    "pools": [ {addresses} ], "pd-pools": [ {prefixes} ] }} ],
                "loggers": [ {{ "name": "kea-dhcp6", "severity": "INFO",
                    "output_options": [ {{ "output": "stdout" }} ] }} ]
            }} }}"#
        );
        isp.write_file("/run/kea/kea.conf", text).unwrap();
    }

    pub fn stop(self) {
        self.process.stop(PATIENCE).unwrap();
    }

    /// Stops it and loses its leases.
    pub fn forget(self) {
        let isp = self.isp.clone();
        self.stop();
        isp.run(|| std::fs::remove_file("/run/kea/leases.csv")).unwrap();
    }

    /// Waits for a line of its log.
    pub fn wait_line(&self, text: &str) {
        self.process.wait_line(text, PATIENCE).unwrap();
    }
}
