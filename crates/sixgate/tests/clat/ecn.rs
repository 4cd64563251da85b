//! Congestion marks (RFC 3168) through our queue and the translators (RFC 7915 sections 4.1 and 5.1: ECN bits are copied): each way, over NAT64
//! alone and over CLAT and NAT64, marked as IPv4 beyond them and as IPv6 between them. What arrives marked is counted by the receivers' kernels.

use crate::world::{Clat, PATIENCE, SIXGATE, Up, World, run, spawn};
use sixgate_lab::{Command, Host, Signal, wait_some};

const LOAD: &str = include_str!("../shape/load.py");

/// Packets that came with a mark, of both families.
fn marked(host: &Host) -> u64 {
    let text = run(host, "cat /proc/net/snmp6 /proc/net/netstat");
    let words = |name: &str| {
        let line = text.lines().filter_map(|line| line.find(name).map(|at| &line[at..]));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let v6: u64 = words("Ip6InCEPkts")[0][1].parse().unwrap();
    // A line of names, and one of numbers.
    let v4 = words("IpExt:");
    let place = v4[0].iter().position(|name| *name == "InCEPkts").unwrap();
    v6 + v4[1][place].parse::<u64>().unwrap()
}

#[test]
fn marks_pass_queue_and_translators() {
    let world = World::new("clat-marks");
    let up = Up::gateway(&world.gw, "", "[nat64]\nprefix = \"2001:db8:64::/96\"");
    let clat = Clat::start(&world.phone, "");
    clat.wait("on", "", "");
    for host in [&world.phone, &world.server] {
        host.sysctl("net/ipv4/tcp_ecn", "1").unwrap();
        host.heed_losses().unwrap();
    }
    let serving = world.server.spawn(&Command::new("python3").args(["-c", LOAD, "serve"])).unwrap();
    serving.wait_line("ready", PATIENCE).unwrap();
    for interface in ["wan0", "lan0"] {
        let shape = spawn(
            &world.gw,
            &format!("{SIXGATE} shape --interface {interface} --down 5M --up 5M --queue own"),
        );
        shape.wait_line(interface, PATIENCE).unwrap();
        for (address, by) in [("2001:db8:64::c633:640a", "NAT64"), ("198.51.100.10", "CLAT and NAT64")] {
            let before = [&world.phone, &world.server].map(marked);
            let words = ["-c", LOAD, "run", address, "60", "2", "2"];
            let load = world.phone.spawn(&Command::new("python3").args(words)).unwrap();
            for (host, before, way) in [(&world.phone, before[0], "down"), (&world.server, before[1], "up")] {
                let what = format!("marks {way} by {by}, made on {interface}");
                let marks = || (marked(host) > before + 5).then_some(());
                wait_some(&what, PATIENCE, marks, || load.output()).unwrap_or_else(|error| panic!("{error}"));
            }
            load.signal(Signal::SIGKILL).unwrap();
            load.wait(PATIENCE).unwrap();
        }
        shape.stop(PATIENCE).unwrap();
    }
    clat.stop();
    up.stop();
}
