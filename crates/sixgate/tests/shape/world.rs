//! A home behind a modem: 20 Mbit/s down, 5 Mbit/s up, 40 ms to the server, and buffers that are too deep.

use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{Command, Host, Lab, Link, Process, root_for_tests, wait_some};
use std::net::IpAddr;
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const SERVER: &str = "2001:db8:9::2";
const LOAD: &str = include_str!("load.py");

/// ```text
/// alice eth0 -- lan0 gw wan0 -- cpe0 modem line0 -- cust0 isp core0 ==20 ms== eth0 server
///   2001:db8:1::2                     5 Mbit/s ^    ^ 20 Mbit/s               2001:db8:9::2
/// ```
pub struct World {
    pub alice: Host,
    pub gw: Host,
    pub modem: Host,
    pub isp: Host,
    pub server: Host,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

/// Runs a program in a host; what it prints, its lines' marks taken off.
pub fn run(host: &Host, line: &str) -> String {
    let process = spawn(host, line);
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{line}: {status}\n{}", process.output());
    process.output()
}

pub fn spawn(host: &Host, line: &str) -> Process {
    let mut words = line.split_whitespace();
    host.spawn(&Command::new(words.next().unwrap()).args(words)).unwrap()
}

impl World {
    pub fn new(name: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [alice, server] = ["alice", "server"].map(|name| lab.host(name).unwrap());
        let [gw, modem, isp] = ["gw", "modem", "isp"].map(|name| lab.router(name).unwrap());
        lab.link(Link::between((&alice, "eth0"), (&gw, "lan0"))).unwrap();
        lab.link(Link::between((&gw, "wan0"), (&modem, "cpe0"))).unwrap();
        lab.link(Link::between((&modem, "line0"), (&isp, "cust0"))).unwrap();
        let far = Link::between((&isp, "core0"), (&server, "eth0")).delay(Duration::from_millis(20));
        lab.link(far).unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let via = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for (host, device, address) in [
            (&alice, "eth0", "2001:db8:1::2/64"),
            (&gw, "lan0", "2001:db8:1::1/64"),
            (&gw, "wan0", "2001:db8:2::2/64"),
            (&modem, "cpe0", "2001:db8:2::1/64"),
            (&modem, "line0", "2001:db8:3::2/64"),
            (&isp, "cust0", "2001:db8:3::1/64"),
            (&isp, "core0", "2001:db8:9::1/64"),
            (&server, "eth0", "2001:db8:9::2/64"),
        ] {
            host.add_address_nodad(device, net(address)).unwrap();
        }
        for (host, to, by, device) in [
            (&alice, "::/0", "2001:db8:1::1", "eth0"),
            (&gw, "::/0", "2001:db8:2::1", "wan0"),
            (&modem, "::/0", "2001:db8:3::1", "line0"),
            (&modem, "2001:db8:1::/64", "2001:db8:2::2", "cpe0"),
            (&isp, "2001:db8::/32", "2001:db8:3::2", "cust0"),
            (&server, "::/0", "2001:db8:9::1", "eth0"),
        ] {
            host.add_route(net(to), via(by), device).unwrap();
        }
        for host in [&alice, &server] {
            host.heed_losses().unwrap();
        }
        let world = Self { alice, gw, modem, isp, server, _lab: lab };
        world.set_link(20, 5);
        world
    }

    /// Another speed, in Mbit/s; the buffers hold a second.
    pub fn set_link(&self, down: u32, up: u32) {
        for (host, device, mbit) in [(&self.isp, "cust0", down), (&self.modem, "line0", up)] {
            let limit = mbit * 125_000;
            run(
                host,
                &format!("tc qdisc replace dev {device} root tbf rate {mbit}mbit burst 5000 limit {limit}"),
            );
        }
    }

    /// Another speed towards the home; what waits, waits.
    pub fn set_rate(&self, down: u32) {
        let limit = down * 125_000;
        let change = format!("tc qdisc change dev cust0 root tbf rate {down}mbit burst 5000 limit {limit}");
        run(&self.isp, &change);
    }

    /// What both bottlenecks have sent: down, and up.
    pub fn wire(&self) -> (f64, f64) {
        (sent(&self.isp, "cust0"), sent(&self.modem, "line0"))
    }

    /// Begins to serve load and pages.
    pub fn serve(&self) {
        let server = self.server.spawn(&Command::new("python3").args(["-c", LOAD, "serve"])).unwrap();
        server.wait_line("ready", PATIENCE).unwrap();
    }

    /// Starts connections of alice's that take and give what they can for so long, after two seconds.
    pub fn load(&self, seconds: u32, down: u32, up: u32) -> Process {
        let numbers = [seconds, down, up].map(|number| number.to_string());
        let words = ["-c", LOAD, "run", SERVER].into_iter().map(str::to_owned).chain(numbers);
        self.alice.spawn(&Command::new("python3").args(words)).unwrap()
    }
}

/// Octets that a device's queue has sent, as Ethernet on the cable counts them.
pub fn sent(host: &Host, device: &str) -> f64 {
    /// What the cable has beside the header, which the queue counts.
    const BESIDE: f64 = 24.0;
    let text = run(host, &format!("tc -s -j qdisc show dev {device}"));
    let json = text.lines().find_map(|line| Some(&line[line.find('[')?..])).unwrap();
    let queues: Value = serde_json::from_str(json).unwrap();
    let count = |name: &str| queues[0][name].as_f64().unwrap();
    count("bytes") + BESIDE * count("packets")
}

/// The first JSON object that a program prints.
pub fn json(process: &Process) -> Value {
    let value = || {
        let output = process.output();
        let json = output.lines().find_map(|line| Some(&line[line.find('{')?..]))?;
        serde_json::from_str(json).ok()
    };
    wait_some("JSON", PATIENCE, value, || process.output()).unwrap()
}

/// What the connections of one direction carried, octets.
pub fn carried(view: &Value, direction: &str) -> Vec<f64> {
    view[direction].as_array().unwrap().iter().map(|octets| octets.as_f64().unwrap()).collect()
}

/// Jain's index of fairness.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

/// Round trips that ping tells, in ms and in order.
pub fn round_trips(text: &str) -> Vec<f64> {
    let time = |line: &str| line.split("time=").nth(1)?.split(' ').next()?.parse().ok();
    text.lines().filter_map(time).collect()
}

pub fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
