//! What is left of a lab: nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsRawFd as _;
use std::process::{Command as Program, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use sixgate_lab::{Command, Lab, Link, root_for_tests, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);
const HOLDER: &str = "SIXGATE_LAB_TEST_HOLDER";

/// Two hosts, two links, and a daemon that forked away and holds on to everything.
fn build() -> (Lab, BTreeSet<String>) {
    let lab = Lab::new("mortal").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    lab.link(Link::between((&a, "veth-a"), (&b, "veth-b"))).unwrap();
    lab.link(Link::between((&a, "tap-a"), (&b, "tap-b")).rate(1_000_000)).unwrap();
    let script = "trap '' TERM HUP; (setsid sleep 12345 &) ; echo started; sleep 12345";
    for host in [&a, &b] {
        host.spawn(&Command::new("sh").args(["-c", script])).unwrap().wait_line("started", PATIENCE).unwrap();
    }
    let file = fs::File::open("/proc/self/ns/net").unwrap();
    let ours = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    let network = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let networks: BTreeSet<String> = [&a, &b]
        .iter()
        .map(|host| network(host.init_pid()))
        .inspect(|network| assert_ne!(*network, ours))
        .map(|network| network.to_string_lossy().into_owned())
        .collect();
    assert_eq!(networks.len(), 2);
    (lab, networks)
}

/// Whether any thread of any process still is in one of the network namespaces.
fn inhabited(networks: &BTreeSet<String>) -> bool {
    let tasks = |pid: fs::DirEntry| fs::read_dir(pid.path().join("task")).into_iter().flatten().flatten();
    fs::read_dir("/proc").unwrap().flatten().flat_map(tasks).any(|task| {
        fs::read_link(task.path().join("ns/net"))
            .is_ok_and(|network| networks.contains(network.to_string_lossy().as_ref()))
    })
}

#[test]
fn after_drop() {
    root_for_tests().unwrap();
    let before = interfaces();
    let (lab, networks) = build();
    assert!(inhabited(&networks));
    assert_eq!(interfaces(), before, "the network outside is not touched");
    let folder = lab.folder().to_owned();
    drop(lab);
    wait_for("everybody to leave", PATIENCE, || !inhabited(&networks)).unwrap();
    assert!(!folder.exists());
    assert_eq!(interfaces(), before);
}

fn interfaces() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect()
}

#[test]
fn after_kill_9() {
    root_for_tests().unwrap();
    if env::var_os(HOLDER).is_some() {
        let (lab, networks) = build();
        println!("\nFOLDER {}", lab.folder().display());
        println!("NETWORKS {}", networks.iter().cloned().collect::<Vec<_>>().join(" "));
        loop {
            thread::park();
        }
    }
    let mut holder = Program::new(env::current_exe().unwrap())
        .args(["--exact", "after_kill_9", "--nocapture", "--test-threads=1"])
        .env(HOLDER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut told = |what: &str| lines.find_map(|line| line.strip_prefix(what).map(str::to_owned));
    let folder = told("FOLDER ").unwrap();
    let networks: BTreeSet<String> = told("NETWORKS ").unwrap().split(' ').map(str::to_owned).collect();
    assert!(inhabited(&networks));
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for("everybody to leave", PATIENCE, || !inhabited(&networks)).unwrap();
    // Files cannot go by themselves; the next lab removes them.
    drop(Lab::new("sweeper").unwrap());
    assert!(!fs::exists(folder).unwrap());
}
