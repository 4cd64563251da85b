//! The log of the leases garbled on the disk under a server that runs: it says so, and what it knows is on the disk again soon.

use super::{PATIENCE, SIXGATE, duid, kept};
use sixgate_lab::{Command, Host, Lab, Link, Process, Signal, root_for_tests};
use std::time::{Duration, Instant};

/// Again and again zeros some octets near the end of the log's last segment, as a disk may that loses a block.
const GARBLE: &str = "
import glob, time
for turn in range(40):
    segments = glob.glob('/run/sixgate/state/leases.db-log*')
    if segments:
        last = max(segments, key=lambda name: int(name.rsplit('log', 1)[1]))
        with open(last, 'r+b') as file:
            end = len(file.read().rstrip(b'\\0'))
            if end > 1000:
                file.seek(end - 300)
                file.write(bytes(40))
    time.sleep(0.02)
";

/// A router and a client on its LAN.
struct World {
    _lab: Lab,
    gw: Host,
    client: Host,
}

impl World {
    fn new(name: &str, lan: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let (gw, client) = (lab.host("gw").unwrap(), lab.host("client").unwrap());
        for host in [&gw, &client] {
            host.set_dad(false).unwrap();
        }
        lab.link(Link::between((&gw, "lan0"), (&client, "eth0"))).unwrap();
        client.wait_link_local("eth0", PATIENCE).unwrap();
        let config = format!(
            "state = \"/run/sixgate/state\"\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n{lan}\
             [dns]\nenabled = false\n"
        );
        gw.write_file("/etc/sixgate.toml", &config).unwrap();
        Self { _lab: lab, gw, client }
    }

    fn serve(&self) -> Process {
        let server = self.gw.spawn(&Command::new(SIXGATE).args(["up"])).unwrap();
        wait_line(&server, " serving ");
        server
    }

    /// Lets clients ask for a while, and the disk garble what they were told of, then does something in the midst of it; each
    /// that was told, and of what.
    fn load_and_garble(&self, then: impl FnOnce()) -> Vec<(String, String)> {
        let load =
            Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0", "--kind", "address"]);
        let load =
            load.args(["--clients", "1000000", "--window", "4", "--seconds", "1.5", "--told", "/run/told"]);
        let load = self.client.spawn(&load).unwrap();
        load.wait_line("begin", PATIENCE).unwrap();
        let garble = self.gw.spawn(&Command::new("python3").args(["-c", GARBLE])).unwrap();
        assert!(garble.wait(PATIENCE).unwrap().success(), "{}", garble.output());
        then();
        assert!(load.wait(PATIENCE).unwrap().success(), "{}", load.output());
        let told = self.client.read_file("/run/told").unwrap();
        let told: Vec<_> = (told.lines())
            .map(|line| line.split_once(' ').unwrap())
            .map(|(number, resource)| (duid(number.parse().unwrap()), resource.to_owned()))
            .collect();
        assert!(told.len() > 100, "only {} clients", told.len());
        told
    }

    fn run(&self, line: &str) -> Process {
        let process = self.gw.spawn(&Command::new("sh").args(["-c", line])).unwrap();
        process.wait(PATIENCE).unwrap();
        process
    }
}

fn wait_line(server: &Process, said: &str) {
    server.wait_line(said, PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
}

#[test]
fn what_the_disk_garbles_under_a_running_server_is_written_again() {
    let world = World::new("garbled", "");
    let gw = &world.gw;
    let server = world.serve();
    let told = world.load_and_garble(|| {});
    for said in ["the disk garbled a part of the leases' log", "all leases are written again"] {
        wait_line(&server, said);
    }
    // Parts that were garbled may still be found; in the end all that clients were told of is on the disk.
    let began = Instant::now();
    let whole = || {
        let line = format!("{SIXGATE} leases --offline --json > /run/kept");
        let process = gw.spawn(&Command::new("sh").args(["-c", &line])).unwrap();
        process.wait(PATIENCE).unwrap().success() && {
            let kept = kept(gw);
            told.iter().all(|(holder, resource)| kept.get(resource) == Some(holder))
        }
    };
    while !whole() {
        assert!(
            began.elapsed() < PATIENCE,
            "not all of {} leases are on the disk\n{}",
            told.len(),
            server.output()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    server.signal(Signal::SIGKILL).unwrap();
    server.wait(PATIENCE).unwrap();
    let kept = kept(gw);
    for (holder, resource) in &told {
        assert_eq!(kept.get(resource), Some(holder), "{resource}");
    }
}

#[test]
fn a_stop_in_the_midst_of_it_writes_all_again_before_it_ends() {
    let world = World::new("garbled-stop", "");
    let server = world.serve();
    let told = world.load_and_garble(|| server.signal(Signal::SIGTERM).unwrap());
    let stopped = server.wait(PATIENCE).unwrap().success();
    let kept = kept(&world.gw);
    let lost: Vec<_> = told.iter().filter(|(holder, resource)| kept.get(resource) != Some(holder)).collect();
    let output = server.output();
    assert!(output.contains("the disk garbled a part of the leases' log"), "{output}");
    assert!(lost.is_empty() && stopped, "stopped {stopped}, lost {lost:?}\n{output}");
    let marked = world.run("ls /run/sixgate/state/leases.db-damaged");
    assert!(!marked.wait(PATIENCE).unwrap().success(), "{}", marked.output());
}

#[test]
fn what_an_earlier_server_could_not_write_again_is_told_of_until_somebody_has_seen_to_it() {
    let world = World::new("garbled-before", "");
    world.run("mkdir -p /run/sixgate/state && touch /run/sixgate/state/leases.db-damaged");
    let server = world.serve();
    wait_line(&server, "the disk garbled a part of the leases' log under an earlier sixgate");
    let status = world.run(&format!("{SIXGATE} status")).output();
    assert!(status.contains("may be missing until they renew"), "{status}");
    assert!(status.contains("then remove /run/sixgate/state/leases.db-damaged"), "{status}");
    world.run("rm /run/sixgate/state/leases.db-damaged");
    let status = world.run(&format!("{SIXGATE} status")).output();
    assert!(!status.contains("earlier sixgate"), "{status}");
    server.signal(Signal::SIGTERM).unwrap();
    assert!(server.wait(PATIENCE).unwrap().success(), "{}", server.output());
}

/// Zeros the next IPv4 lease in the log as soon as it is there.
const GARBLE_V4: &str = "
import glob, re, time
def leases():
    for name in glob.glob('/run/sixgate/state/leases.db-log*'):
        with open(name, 'rb') as file:
            for found in re.finditer(rb'\\x0a\\x07\\x00[^\\x00\\x01]', file.read()):
                yield name, found.start()
before = set(leases())
print('ready', flush=True)
end = time.time() + 30
while time.time() < end:
    for name, place in set(leases()) - before:
        with open(name, 'r+b') as file:
            file.seek(place)
            file.write(bytes(20))
        end = 0
";

#[test]
fn an_ipv4_lease_that_is_garbled_is_written_again() {
    let world = World::new("garbled-v4", "ipv4 = \"10.7.0.1/24\"\n");
    let server = world.serve();
    // Until one was not taken up before it was garbled.
    let found = (0..5).any(|_| {
        let garble = world.gw.spawn(&Command::new("python3").args(["-c", GARBLE_V4])).unwrap();
        garble.wait_line("ready", PATIENCE).unwrap();
        let client = Command::new("udhcpc").args(["-f", "-n", "-q", "-i", "eth0", "-s", "/bin/true"]);
        let client = world.client.spawn(&client).unwrap();
        assert!(client.wait(PATIENCE).unwrap().success(), "{}\n{}", client.output(), server.output());
        assert!(garble.wait(PATIENCE).unwrap().success(), "{}", garble.output());
        server.wait_line("all leases are written again", Duration::from_secs(3)).is_ok()
    });
    assert!(found, "{}", server.output());
    server.signal(Signal::SIGKILL).unwrap();
    server.wait(PATIENCE).unwrap();
    let leases = world.run(&format!("{SIXGATE} leases --offline --json")).output();
    assert!(leases.contains("\"10.7.0."), "{leases}");
    let marked = world.run("ls /run/sixgate/state/leases.db-damaged");
    assert!(!marked.wait(PATIENCE).unwrap().success(), "{}", marked.output());
}

/// Holds the database's write lock until it is ended.
const HOLD: &str = "
import sqlite3, time
held = sqlite3.connect('/run/sixgate/state/leases.db', isolation_level=None, timeout=30)
held.execute('BEGIN IMMEDIATE')
print('held', flush=True)
time.sleep(120)
";

/// Leases are given all the same: the log has them. But somebody has to know.
#[test]
fn a_database_that_another_program_holds_is_told_of() {
    let world = World::new("held", "");
    let server = world.serve();
    let hold = world.gw.spawn(&Command::new("python3").args(["-c", HOLD])).unwrap();
    hold.wait_line("held", PATIENCE).unwrap();
    let load = Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0", "--kind", "address"]);
    let load = world.client.spawn(&load.args(["--clients", "50", "--window", "4"])).unwrap();
    assert!(load.wait(PATIENCE).unwrap().success(), "{}", load.output());
    let status_until = |wanted: &dyn Fn(&str) -> bool| {
        let began = Instant::now();
        loop {
            let status = world.run(&format!("{SIXGATE} status")).output();
            if wanted(&status) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{status}\n{}", server.output());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    status_until(&|status| status.contains("leases.db takes nothing"));
    hold.signal(Signal::SIGKILL).unwrap();
    hold.wait(PATIENCE).unwrap();
    status_until(&|status| !status.contains("takes nothing"));
    server.signal(Signal::SIGTERM).unwrap();
    assert!(server.wait(PATIENCE).unwrap().success(), "{}", server.output());
    assert_eq!(kept(&world.gw).len(), 50);
}
