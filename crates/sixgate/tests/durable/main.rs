//! `sixgate up` killed while very many clients ask: no lease that a client was told of is lost, and none is given to two.
//! `SIXGATE_KILLS=200` kills it so often; needs root (or a user namespace).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod damage;

use serde_json::Value;
use sixgate_lab::{Command, Host, Lab, Link, Signal, root_for_tests};
use std::collections::HashMap;
use std::time::Duration;

const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");
const PATIENCE: Duration = Duration::from_mins(1);
/// Kills with one state folder: what was told before the first has to be there after the last.
const IN_A_ROW: u32 = 5;

/// As the load generator makes it of a client's number.
fn duid(client: u64) -> String {
    let [_, _, mac @ ..] = client.to_be_bytes();
    let mac: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("00:03:00:01:{}", mac.join(":"))
}

/// Who holds what, by what is on the disk.
fn kept(host: &Host) -> HashMap<String, String> {
    // Longer than what is kept of a program's output.
    let line = format!("{SIXGATE} leases --offline --json > /run/kept");
    let process = host.spawn(&Command::new("sh").args(["-c", &line])).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{}", process.output());
    let leases: Value = serde_json::from_str(&host.read_file("/run/kept").unwrap()).unwrap();
    let text = |lease: &Value, key: &str| lease[key].as_str().unwrap().to_owned();
    let leases = leases.as_array().unwrap();
    let all: HashMap<_, _> = leases.iter().map(|l| (text(l, "resource"), text(l, "duid"))).collect();
    assert_eq!(all.len(), leases.len(), "a resource has two leases");
    all
}

#[test]
fn what_clients_were_told_survives_kills_under_full_load() {
    root_for_tests().expect("tests need root or user namespaces");
    let kills: u32 = std::env::var("SIXGATE_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lab = Lab::new("durable").unwrap();
    let (gw, client) = (lab.host("gw").unwrap(), lab.host("client").unwrap());
    for host in [&gw, &client] {
        host.set_dad(false).unwrap();
    }
    lab.link(Link::between((&gw, "lan0"), (&client, "eth0"))).unwrap();
    client.wait_link_local("eth0", PATIENCE).unwrap();
    let (mut told, mut told_ever, mut under_load) = (HashMap::new(), 0, 0);
    for kill in 0..kills {
        if kill % IN_A_ROW == 0 {
            told.clear();
            let state = kill / IN_A_ROW;
            let config = format!(
                "state = \"/run/sixgate/state{state}\"\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
                 delegate-from = [\"2001:db8:8000::/33\"]\ndelegate-length = 64\n[dns]\nenabled = false\n[dhcp]\nleases = 1000000\n"
            );
            gw.write_file("/etc/sixgate.toml", config).unwrap();
        }
        let server = gw.spawn(&Command::new(SIXGATE).args(["up"])).unwrap();
        server
            .wait_line(" serving ", PATIENCE)
            .unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
        let first = (u64::from(kill) * 1_000_000).to_string();
        let load = Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0", "--kind", "both"]);
        let load =
            load.args(["--first", &first, "--clients", "1000000", "--window", "128", "--seconds", "1.2"]);
        let load = client.spawn(&load.args(["--told", "/run/told"])).unwrap();
        load.wait_line("begin", PATIENCE).unwrap();
        // At any instant of the second in which it is asked as much as it can answer.
        std::thread::sleep(Duration::from_micros(random.u64(50_000..1_000_000)));
        server.signal(Signal::SIGKILL).unwrap();
        server.wait(PATIENCE).unwrap();
        assert!(load.wait(PATIENCE).unwrap().success(), "{}", load.output());
        let lines = client.read_file("/run/told").unwrap();
        for line in lines.lines() {
            let (number, resource) = line.split_once(' ').unwrap();
            let holder = duid(number.parse().unwrap());
            if let Some(other) = told.insert(resource.to_owned(), holder.clone()) {
                assert_eq!(other, holder, "kill {kill}: two clients were told of {resource}");
            }
        }
        told_ever += lines.lines().count();
        under_load += u32::from(!lines.is_empty());
        let kept = kept(&gw);
        for (resource, holder) in &told {
            assert_eq!(kept.get(resource), Some(holder), "kill {kill}: {resource} of {}", told.len());
        }
    }
    println!("{kills} kills, {told_ever} leases told of");
    assert!(under_load > kills / 2, "only {under_load} of {kills} kills came after a lease");
}
