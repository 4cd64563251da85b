//! What a million leases cost the store: to write down, to take up into the database, to read at a start; CPU seconds of the
//! process, and its resident memory. `LEASES` in the environment says how many, `DISK` where.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use sixgate_dhcp::identity::{Key, Learnt, LinkLayer, Mac};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_store::{Config, Store};
use sixgate_wire::dhcpv6::Duid;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Leases of one submission.
const AT_ONCE: u64 = 100;

/// Numbers without an order.
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn lease(number: u64, now: Duration) -> Lease {
    let [_, _, mac @ ..] = number.to_be_bytes();
    let address = 0x2001_0db8_0001 << 80 | u128::from(spread(number));
    Lease {
        resource: Resource::Address(address.into()),
        key: Key::Duid,
        duid: Duid::link_layer(mac),
        iaid: 1,
        link: "lan0".into(),
        state: LeaseState::Bound,
        preferred_until: now + Duration::from_hours(12),
        valid_until: now + Duration::from_hours(24),
        granted_at: now,
        renewed_at: now,
        hostname: None,
        link_layer: Mac::new(&mac).map(|mac| LinkLayer { mac, learnt: Learnt::Duid }),
        peer: "fe80::1:2:3".parse().unwrap(),
        line: None,
        relay: None,
    }
}

/// Seconds of CPU that this process took so far.
fn busy() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let mut words = text.rsplit_once(')').unwrap().1.split_whitespace().skip(11);
    let ticks: u64 =
        words.next().unwrap().parse::<u64>().unwrap() + words.next().unwrap().parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

/// Megabytes resident: now, or at most so far.
fn resident(what: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().unwrap() / 1024.0 * 1.048_576
}

fn told(what: &str, leases: u64, began: (f64, Instant)) {
    let (cpu, wall) = (busy() - began.0, began.1.elapsed().as_secs_f64());
    println!(
        "{what:38} CPU {cpu:6.2} s, {:5.2} us a lease; {wall:6.2} s; resident {:.0} MB, at most {:.0}",
        cpu * 1e6 / leases as f64,
        resident("VmRSS:"),
        resident("VmHWM:"),
    );
}

fn is_log(path: &Path) -> bool {
    path.to_string_lossy().contains("-log")
}

fn write(path: &Path, leases: u64) {
    let (tell, committed) = channel();
    let on_commit = Box::new(move |tokens: Vec<_>| {
        let _ = tell.send(tokens.len());
    });
    let (store, _) = Store::open(path, Config::default(), on_commit).unwrap();
    let mut now = Duration::from_hours(500_000);
    let began = (busy(), Instant::now());
    let mut open = 0;
    for first in (0..leases).step_by(AT_ONCE as usize) {
        now += Duration::from_micros(1_234);
        let changes: Vec<_> =
            (first..first + AT_ONCE).map(|number| LeaseChange::Put(lease(number, now))).collect();
        while !store.submit_leases(now, &changes, first) {
            std::thread::yield_now();
        }
        open += 1;
        while open > 256 {
            open -= committed.recv().unwrap();
        }
    }
    while open > 0 {
        open -= committed.recv().unwrap();
    }
    told("written into the log", leases, began);
    store.stop().unwrap();
    // A stop does not wait for ever, and leaves the rest to the next start.
    let logs = || path.parent().unwrap().read_dir().unwrap().any(|file| is_log(&file.unwrap().path()));
    while logs() {
        Store::open(path, Config::default(), Box::new(|_| {})).unwrap().0.stop().unwrap();
    }
    told("and taken up, and stopped", leases, began);
}

fn read(path: &Path, what: &str, leases: u64) {
    let began = (busy(), Instant::now());
    let (store, snapshot) = Store::open(path, Config::default(), Box::new(|_| {})).unwrap();
    assert_eq!(snapshot.leases.len() as u64, leases);
    told(what, leases, began);
    // As after a crash: the next start finds what this one did.
    std::mem::forget(store);
}

fn main() {
    let leases = std::env::var("LEASES").map_or(1_000_000, |number| number.parse().unwrap());
    if let Some((step, path)) = std::env::var("STEP").ok().zip(std::env::var_os("DATABASE")) {
        let path = Path::new(&path);
        match step.as_str() {
            "write" => write(path, leases),
            what => read(path, what, leases),
        }
        return;
    }
    // A real disk, and not one in memory.
    let folder = tempfile::tempdir_in(std::env::var("DISK").as_deref().unwrap_or(".")).unwrap();
    let path = folder.path().join("leases.db");
    let step = |step: &str| {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program).env("STEP", step).env("DATABASE", &path).status().unwrap();
        assert!(status.success(), "{step}");
    };
    step("write");
    step("read after a clean stop");
    let _ = std::fs::remove_file(folder.path().join("leases.db-copy"));
    step("read from the rows alone");
    let octets: u64 =
        folder.path().read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{:38} {:.0} MB", "on disk", octets as f64 / 1e6);
}
