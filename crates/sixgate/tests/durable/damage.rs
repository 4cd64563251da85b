//! The log of the leases garbled on the disk under a server that runs: it says so, and what it knows is on the disk again soon.

use super::{PATIENCE, SIXGATE, duid, kept};
use sixgate_lab::{Command, Lab, Link, Signal, root_for_tests};
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

#[test]
fn what_the_disk_garbles_under_a_running_server_is_written_again() {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new("garbled").unwrap();
    let (gw, client) = (lab.host("gw").unwrap(), lab.host("client").unwrap());
    for host in [&gw, &client] {
        host.set_dad(false).unwrap();
    }
    lab.link(Link::between((&gw, "lan0"), (&client, "eth0"))).unwrap();
    client.wait_link_local("eth0", PATIENCE).unwrap();
    let config = "state = \"/run/sixgate/state\"\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
                  [dns]\nenabled = false\n";
    gw.write_file("/etc/sixgate.toml", config).unwrap();
    let server = gw.spawn(&Command::new(SIXGATE).args(["up"])).unwrap();
    server.wait_line(" serving ", PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
    let load = Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0", "--kind", "address"]);
    let load =
        load.args(["--clients", "1000000", "--window", "4", "--seconds", "1.5", "--told", "/run/told"]);
    let load = client.spawn(&load).unwrap();
    load.wait_line("begin", PATIENCE).unwrap();
    let garble = gw.spawn(&Command::new("python3").args(["-c", GARBLE])).unwrap();
    assert!(load.wait(PATIENCE).unwrap().success(), "{}", load.output());
    assert!(garble.wait(PATIENCE).unwrap().success(), "{}", garble.output());
    for said in ["the disk garbled a part of the leases' log", "all leases are written again"] {
        server.wait_line(said, PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
    }
    let told = client.read_file("/run/told").unwrap();
    let told: Vec<(String, &str)> = told
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(number, resource)| (duid(number.parse().unwrap()), resource))
        .collect();
    assert!(told.len() > 100, "only {} clients", told.len());
    // Parts that were garbled may still be found; in the end all that clients were told of is on the disk.
    let began = Instant::now();
    let whole = || {
        let line = format!("{SIXGATE} leases --offline --json > /run/kept");
        let process = gw.spawn(&Command::new("sh").args(["-c", &line])).unwrap();
        process.wait(PATIENCE).unwrap().success() && {
            let kept = kept(&gw);
            told.iter().all(|(holder, resource)| kept.get(*resource) == Some(holder))
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
    let kept = kept(&gw);
    for (holder, resource) in &told {
        assert_eq!(kept.get(*resource), Some(holder), "{resource}");
    }
}
