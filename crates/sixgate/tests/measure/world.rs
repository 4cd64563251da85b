//! A line: who measures, a gateway, the ISP at the other end of a slow link, a far end.

use ipnet::IpNet;
use serde_json::Value;
use sixgate_lab::{Command, Host, Impairment, Lab, Link, Process, Transport, root_for_tests, wait_for};
use std::net::IpAddr;
use std::time::Duration;

/// The binary under test.
pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The far end's consent in these tests.
pub const TOKEN: &str = "tests-only";
/// Where the far end is.
pub const FAR: &str = "2001:db8:f::80";
pub const FAR4: &str = "198.51.100.80";

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// ```text
/// here eth0 ---- lan0 gw wan0 ==== cust0 isp core0 ---- eth0 far
/// ```
pub struct World {
    pub here: Host,
    pub gw: Host,
    pub isp: Host,
    pub far: Host,
    /// Last: what runs in it ends with it.
    pub _lab: Lab,
}

impl World {
    /// A line with these impairments down and up. Both families.
    pub fn new(name: &str, down: Impairment, up: Impairment) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let (here, far) = (lab.host("here").unwrap(), lab.host("far").unwrap());
        let (gw, isp) = (lab.router("gw").unwrap(), lab.router("isp").unwrap());
        lab.link(Link::between((&here, "eth0"), (&gw, "lan0"))).unwrap();
        lab.link(Link::between((&isp, "cust0"), (&gw, "wan0")).impairments(down, up)).unwrap();
        lab.link(Link::between((&isp, "core0"), (&far, "eth0"))).unwrap();
        for (host, interface, addresses) in [
            (&here, "eth0", ["2001:db8:1::10/64", "192.0.2.10/24"]),
            (&gw, "lan0", ["2001:db8:1::1/64", "192.0.2.1/24"]),
            (&gw, "wan0", ["2001:db8:2::2/64", "203.0.113.2/24"]),
            (&isp, "cust0", ["2001:db8:2::1/64", "203.0.113.1/24"]),
            (&isp, "core0", ["2001:db8:f::1/64", "198.51.100.1/24"]),
            (&far, "eth0", ["2001:db8:f::80/64", "198.51.100.80/24"]),
        ] {
            for address in addresses {
                host.add_address_nodad(interface, address.parse::<IpNet>().unwrap()).unwrap();
            }
        }
        for (host, interface, hops) in [
            (&here, "eth0", ["2001:db8:1::1", "192.0.2.1"]),
            (&gw, "wan0", ["2001:db8:2::1", "203.0.113.1"]),
            (&isp, "cust0", ["2001:db8:2::2", "203.0.113.2"]),
            (&far, "eth0", ["2001:db8:f::1", "198.51.100.1"]),
        ] {
            for (hop, everywhere) in hops.into_iter().zip(["::/0", "0.0.0.0/0"]) {
                let to = everywhere.parse::<IpNet>().unwrap();
                host.add_route(to, Some(hop.parse::<IpAddr>().unwrap()), interface).unwrap();
            }
        }
        let world = Self { here, gw, isp, far, _lab: lab };
        let passes = |to: &str| succeeds(&world.here, &format!("ping -c 1 -W 1 {to}"));
        wait_for("the line to carry both families", PATIENCE, || passes(FAR) && passes(FAR4)).unwrap();
        world
    }

    /// As homes have it: 20 Mbit/s down, 5 up, 20 ms each way; buffers of 300 ms.
    pub fn home(name: &str) -> Self {
        let way = |rate| Impairment {
            rate: Some(rate),
            delay: ms(20),
            buffer: sixgate_lab::Buffer::Time(ms(300)),
            ..Impairment::default()
        };
        let world = Self::new(name, way(20_000_000), way(5_000_000));
        for host in [&world.here, &world.far] {
            host.heed_losses().unwrap();
        }
        world
    }

    /// One that only delays.
    pub fn delayed(name: &str, delay: Duration) -> Self {
        let way = Impairment { delay, ..Impairment::default() };
        Self::new(name, way.clone(), way)
    }

    /// Starts the far end.
    pub fn serve(&self, more: &str) -> Process {
        let line =
            format!("{SIXGATE} measure serve --token {TOKEN} --allow 2001:db8::/32,192.0.2.0/24 {more}");
        let process = spawn(&self.far, line.trim());
        process.wait_line("listening on ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", process.output()));
        process
    }
}

/// Starts a program in a host; the line is split at blanks.
pub fn spawn(host: &Host, line: &str) -> Process {
    let mut words = line.split(' ');
    host.spawn(&Command::new(words.next().unwrap()).args(words)).unwrap()
}

/// Runs a program in a host; what it prints.
pub fn run(host: &Host, line: &str) -> String {
    let process = spawn(host, line);
    let status =
        process.wait(PATIENCE).unwrap_or_else(|error| panic!("{line}: {error}\n{}", process.output()));
    assert!(status.success(), "{line}: {status}\n{}", process.output());
    process.output()
}

/// Whether a program ends well.
pub fn succeeds(host: &Host, line: &str) -> bool {
    spawn(host, line).wait(PATIENCE).unwrap().success()
}

/// Runs `sixgate` in a host: how it ended, and what it said.
pub fn sixgate(host: &Host, line: &str) -> (Option<i32>, String) {
    let process = spawn(host, &format!("{SIXGATE} {line}"));
    let status =
        process.wait(PATIENCE).unwrap_or_else(|error| panic!("{line}: {error}\n{}", process.output()));
    (status.code(), process.output())
}

/// What `sixgate ... --json` prints.
pub fn json(host: &Host, line: &str) -> Value {
    parse(&run(host, &format!("{SIXGATE} {line}")))
}

/// The JSON in what was said.
pub fn parse(said: &str) -> Value {
    // Each line begins with its time and stream.
    let begin = said.find('{').unwrap_or_else(|| panic!("no JSON: {said}"));
    let mut values = serde_json::Deserializer::from_str(&said[begin..]).into_iter::<Value>();
    values.next().unwrap().unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Serves a folder by Python's own server.
pub fn python(host: &Host, folder: &str, port: u16) -> Process {
    let process = spawn(host, &format!("python3 -m http.server --bind :: --directory {folder} {port}"));
    wait_for("Python's server to listen", PATIENCE, || host.listening(Transport::Tcp, port)).unwrap();
    process
}

/// Whether two figures agree within a tenth of the second.
pub fn agree(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= theirs.abs() * 0.1
}

/// The median of numbers.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
