//! `sixgate shape` before a slow link with deep buffers, made of the kernel's own token buckets; witnesses are ping, curl and tc. Needs
//! root (or a user namespace).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]
#![allow(clippy::cast_precision_loss)]

mod world;

use serde_json::Value;
use sixgate_lab::{Host, Process, Signal, wait_for};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::{
    PATIENCE, SERVER, SIXGATE, World, carried, jain, json, percentile, round_trips, run, sent, spawn,
};

/// Shapes the gateway's uplink; begun when this returns.
fn shape(world: &World, arguments: &str) -> Process {
    let process = spawn(&world.gw, &format!("{SIXGATE} shape --interface wan0 {arguments}"));
    process.wait_line("wan0", PATIENCE).unwrap();
    process
}

/// What a run under load showed.
#[derive(Debug)]
struct Seen {
    /// Milliseconds beyond the idle round trip: of a ping at the 50th, 95th and 99th percentile.
    added: [f64; 3],
    down: Vec<f64>,
    up: Vec<f64>,
    seconds: u32,
    /// Parts of the shaped rates, down and up, that were on the wire by tc's count.
    used: (f64, f64),
}

impl Seen {
    /// Payload, Mbit/s.
    fn rates(&self) -> (f64, f64) {
        let rate = |octets: &[f64]| octets.iter().sum::<f64>() * 8.0 / f64::from(self.seconds) / 1e6;
        (rate(&self.down), rate(&self.up))
    }
}

/// The round trip while nothing else goes on.
fn idle(world: &World) -> f64 {
    // Neighbours are found first.
    run(&world.alice, &format!("ping -n -c 1 -w 20 {SERVER}"));
    let text = run(&world.alice, &format!("ping -n -c 20 -i 0.05 {SERVER}"));
    percentile(&round_trips(&text), 50)
}

/// Four connections each way, and a ping beside them once they have found their rate.
fn under_load(world: &World, seconds: u32, idle: f64) -> Seen {
    let load = world.load(seconds, 4, 4);
    let count = seconds * 20;
    let ping = spawn(&world.alice, &format!("ping -n -c {} -i 0.05 -W 5 {SERVER}", count + 40));
    // The load counts from its third second on.
    std::thread::sleep(Duration::from_secs(2));
    let (began, before) = (Instant::now(), world.wire());
    let result = json(&load);
    let after = world.wire();
    let used = |after: f64, before: f64, mbit: f64| {
        (after - before) * 8.0 / began.elapsed().as_secs_f64() / (mbit * 1e6)
    };
    let used = (used(after.0, before.0, 19.0), used(after.1, before.1, 4.75));
    ping.wait(PATIENCE).unwrap();
    let times: Vec<f64> = round_trips(&ping.output()).into_iter().skip(40).collect();
    assert!(times.len() > count as usize / 2, "of {count} pings {} came back", times.len());
    let added = [50, 95, 99].map(|percent| percentile(&times, percent) - idle);
    Seen { added, down: carried(&result, "down"), up: carried(&result, "up"), seconds, used }
}

/// The seconds that a page of 110 objects takes, by curl.
fn page(world: &World) -> f64 {
    let began = Instant::now();
    let objects = format!("http://[{SERVER}]:8080/[1-110]");
    let curl = format!("curl -sS --fail -Z --parallel-max 6 -o /dev/null {objects}");
    run(&world.alice, &curl);
    began.elapsed().as_secs_f64()
}

/// Seconds of CPU time that a process of the gateway has used.
fn cpu(world: &World, process: &Process) -> f64 {
    /// `sysconf(_SC_CLK_TCK)` of Linux.
    const TICKS: f64 = 100.0;
    let stat = world.gw.read_file(format!("/proc/{}/stat", process.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

/// Stops it; what it did.
fn stopped(process: &Process) -> Value {
    process.stop(PATIENCE).unwrap();
    let output = process.output();
    let last = output.lines().rev().find_map(|line| Some(&line[line.find('{')?..])).unwrap();
    serde_json::from_str(last).unwrap()
}

/// Packets of all tins of a direction.
fn packets(direction: &Value) -> u64 {
    direction["tins"].as_array().unwrap().iter().map(|tin| tin["packets"].as_u64().unwrap()).sum()
}

/// What the link does by itself, and with the queue before it.
fn compare(world: &World, seconds: u32, queue: &str) -> (Seen, Seen) {
    world.serve();
    let idle = idle(world);
    let fifo = under_load(world, seconds, idle);
    let process = shape(world, &format!("--down 19M --up 4750k --json {queue}"));
    let shaped = under_load(world, seconds, idle);
    let cpu = cpu(world, &process);
    let view = stopped(&process);
    let packets: u64 = view["directions"].as_array().unwrap().iter().map(packets).sum();
    for direction in view["directions"].as_array().unwrap() {
        let tin = &direction["tins"][0];
        println!(
            "{}: {} packets, {} dropped, {} without room, {} not taken back, {} lost before it; waited {} us",
            direction["direction"],
            tin["packets"],
            tin["dropped"],
            tin["overflowed"],
            direction["not-sent"],
            direction["missed"],
            tin["delay-us"]
        );
    }
    let each = cpu * 1e6 / packets as f64;
    println!("{packets} packets by the queue {}, {each:.1} us of CPU time each", view["queue"]);
    for (name, seen) in [("FIFO  ", &fifo), ("shaped", &shaped)] {
        let (down, up) = seen.rates();
        println!(
            "{name}: on the wire {:.2} and {:.2} of what was asked for; added delay p50 {:.1} p95 {:.1} p99 {:.1} ms; down {down:.2} up {up:.2} Mbit/s of payload; \
             fairness down {:.3} up {:.3}",
            seen.used.0,
            seen.used.1,
            seen.added[0],
            seen.added[1],
            seen.added[2],
            jain(&seen.down),
            jain(&seen.up)
        );
    }
    (fifo, shaped)
}

/// Four connections each way: the delay is milliseconds, and the link is used. Looser than `figures`: others use the machine, too.
#[test]
fn the_delay_of_a_busy_link_is_low() {
    let world = World::new("shape-load");
    let (fifo, shaped) = compare(&world, 8, "");
    assert!(fifo.added[0] > 300.0, "{fifo:?}");
    assert!(shaped.added[0] < fifo.added[0] / 10.0, "{shaped:?}");
    let (down, up) = shaped.used;
    assert!(down > 0.7 && up > 0.7, "{shaped:?}");
    // The queue is ours, and the modem's is empty: never more than what was asked for.
    assert!(down < 1.03 && up < 1.03, "{shaped:?}");
    assert!(jain(&shaped.down) > 0.95 && jain(&shaped.up) > 0.95, "{shaped:?}");
}

/// Senders that understand marks (RFC 3168) are marked, and lose next to nothing; the marks arrive.
#[test]
fn marks_take_the_place_of_drops() {
    let world = World::new("shape-marks");
    for host in [&world.alice, &world.server] {
        host.sysctl("net/ipv4/tcp_ecn", "1").unwrap();
    }
    world.serve();
    let process = shape(&world, "--down 19M --up 4750k --json --queue own");
    let load = world.load(60, 4, 4);
    let marked = |host: &Host| {
        let text = run(host, "cat /proc/net/snmp6");
        let line = text
            .lines()
            .find_map(|line| line[line.find("Ip6InCEPkts")?..].split_whitespace().nth(1))
            .unwrap();
        line.parse::<u64>().unwrap()
    };
    for (host, what) in [(&world.alice, "marks on the way down"), (&world.server, "marks on the way up")] {
        wait_for(what, PATIENCE, || marked(host) > 20).unwrap();
    }
    load.signal(Signal::SIGKILL).unwrap();
    load.wait(PATIENCE).unwrap();
    let view = stopped(&process);
    for direction in view["directions"].as_array().unwrap() {
        let tin = &direction["tins"][0];
        let count = |name: &str| tin[name].as_u64().unwrap();
        println!("{}: {} marked, {} dropped", direction["direction"], count("marked"), count("dropped"));
        // Acknowledgements and what is sent again cannot be marked.
        assert!(count("marked") > 20 && count("dropped") < count("marked"), "{view}");
    }
}

/// A link that becomes slower and faster again, while four connections fill it: what ping sees, phase by phase.
fn follow(world: &World, seconds: u32) -> Vec<Phase> {
    const PHASES: [u32; 3] = [50, 10, 30];
    world.set_link(PHASES[0], 20);
    world.serve();
    let idle = idle(world);
    let process = shape(world, "--down 5M-100M --up 19M --probe 2001:db8:3::1");
    let load = world.load(3 * seconds, 4, 0);
    let ping = spawn(&world.alice, &format!("ping -n -D -c {} -i 0.05 {SERVER}", 20 * (3 * seconds + 2)));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut phases = Vec::new();
    for (number, mbit) in PHASES.into_iter().enumerate() {
        let length = if number == 0 { seconds + 2 } else { seconds };
        world.set_rate(mbit);
        let (began, before) = (now(), sent(&world.isp, "cust0"));
        std::thread::sleep(Duration::from_secs(length.into()));
        let octets = sent(&world.isp, "cust0") - before;
        let used = octets * 8.0 / (now() - began) / (f64::from(mbit) * 1e6);
        phases.push(Phase { mbit, began, used, ..Phase::default() });
    }
    json(&load);
    ping.wait(PATIENCE).unwrap();
    process.stop(PATIENCE).unwrap();
    let text = ping.output();
    let samples: Vec<(f64, f64)> = text.lines().filter_map(stamped).collect();
    let ends: Vec<f64> = phases.iter().skip(1).map(|phase| phase.began).chain([f64::INFINITY]).collect();
    for (phase, end) in phases.iter_mut().zip(ends) {
        let within = samples.iter().filter(|(at, _)| (phase.began..end).contains(at));
        let added: Vec<(f64, f64)> = within.map(|(at, took)| (at - phase.began, took - idle)).collect();
        let late = added.iter().filter(|(at, added)| *added > 30.0 && *at < 5.0).map(|(at, _)| *at);
        phase.settled = late.fold(0.0, f64::max);
        let after: Vec<f64> = added.iter().filter(|(at, _)| *at > 2.0).map(|(_, added)| *added).collect();
        phase.added = [50, 95, 99].map(|percent| percentile(&after, percent));
        println!(
            "{} Mbit/s: last above 30 ms after {:.1} s (wanted 2); then p50 {:.1} p95 {:.1} p99 {:.1} ms; used {:.2} (wanted 0.8)",
            phase.mbit, phase.settled, phase.added[0], phase.added[1], phase.added[2], phase.used
        );
    }
    print!("{}", process.output());
    phases
}

/// A phase of a link that changes.
#[derive(Debug, Default)]
struct Phase {
    mbit: u32,
    began: f64,
    /// Seconds after which no ping took 30 ms more than on the idle link, of the first five.
    settled: f64,
    added: [f64; 3],
    /// Part of the link.
    used: f64,
}

/// When a line of `ping -D` was printed, and its round trip in ms.
fn stamped(line: &str) -> Option<(f64, f64)> {
    let at = line.split_once('[')?.1.split_once(']')?.0.parse().ok()?;
    Some((at, *round_trips(line).first()?))
}

/// The rate follows the link down and up again. Without it a second of packets would wait before the modem. Looser than `figures`: where
/// others use the machine, what they do is delay too.
#[test]
fn the_rate_follows_its_link() {
    let world = World::new("shape-follow");
    let phases = follow(&world, 8);
    assert!(phases.iter().all(|phase| phase.added[0] < 30.0 && phase.added[1] < 200.0), "{phases:?}");
    // What the machine does is taken for a queue of the link's, and the rate cut: of use only this much is sure.
    assert!(phases.iter().all(|phase| phase.used > 0.05), "{phases:?}");
}

/// For `tests/bench-shape`: the figures, each against its target.
#[test]
#[ignore = "figures, for a quiet machine: tests/bench-shape"]
fn figures() {
    let world = World::new("shape-figures");
    let (fifo, shaped) = compare(&world, 20, "");
    println!(
        "p95 of the added delay {:.0} times lower (wanted 30)",
        fifo.added[1] / shaped.added[1].max(0.1)
    );
    let (down, up) = shaped.used;
    println!("throughput {down:.3} down, {up:.3} up of the shaped rate (wanted 0.9)");
    println!("fairness {:.3} (wanted 0.98)", jain(&shaped.down));
    let alone = page(&world);
    let process = shape(&world, "--down 19M --up 4750k");
    let calm = page(&world);
    let load = world.load(20, 4, 4);
    std::thread::sleep(Duration::from_secs(4));
    let busy = page(&world);
    json(&load);
    println!(
        "page of 110 objects: {alone:.2} s; shaped and idle {calm:.2}, under load {busy:.2} (wanted 1.5 times)"
    );
    process.stop(PATIENCE).unwrap();
    follow(&World::new("shape-follow-figures"), 20);
}

/// Nothing that leaves or arrives is changed, and neighbour discovery does not make the detour.
#[test]
fn packets_pass_unchanged_and_discovery_does_not_wait() {
    let world = World::new("shape-passes");
    let process = shape(&world, "--down 19M --up 4750k --json --queue own");
    let seen = world.modem.capture("cpe0").unwrap();
    for length in [0, 8, 1000, 1452, 4000] {
        let ping = run(&world.alice, &format!("ping -n -c 3 -i 0.2 -s {length} {SERVER}"));
        assert!(ping.contains("3 received") && !ping.contains("DUP"), "{ping}");
    }
    // The gateway's own packets, and to its own address.
    run(&world.gw, &format!("ping -n -c 2 -i 0.05 {SERVER}"));
    run(&world.modem, "ping -n -c 2 -i 0.05 2001:db8:2::2");
    run(&world.gw, "ip -6 neigh flush dev wan0");
    run(&world.gw, "ping -n -c 1 2001:db8:2::1");
    seen.wait_fields("icmpv6.type == 128", &["ipv6.src"], 10, PATIENCE).unwrap();
    seen.assert_clean("").unwrap();
    let view = stopped(&process);
    assert_eq!(view["queue"], "own");
    for direction in view["directions"].as_array().unwrap() {
        assert_eq!(direction["not-sent"].as_u64(), Some(0), "{view}");
        assert!(packets(direction) >= 19, "{view}");
    }
}

/// What was there before is there again, also when it is killed.
#[test]
fn nothing_is_left_however_it_ends() {
    let world = World::new("shape-leaves");
    let before = traces(&world);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let process = shape(&world, "--down 19M --up 4750k --queue own");
        assert_ne!(traces(&world), before);
        process.signal(signal).unwrap();
        process.wait(PATIENCE).unwrap();
        let back = || traces(&world) == before;
        wait_for("everything as before", PATIENCE, back)
            .unwrap_or_else(|_| panic!("{}\n{before}", traces(&world)));
        run(&world.alice, &format!("ping -n -c 1 {SERVER}"));
    }
}

/// Interfaces, queues and rules of the gateway.
fn traces(world: &World) -> String {
    let links = run(&world.gw, "ip -o link");
    let names: Vec<&str> = links.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    format!("{names:?}{}{}", run(&world.gw, "tc qdisc"), run(&world.gw, "nft list ruleset"))
}

/// What cannot be is said, with what to do.
#[test]
fn mistakes_are_explained() {
    let world = World::new("shape-mistakes");
    let nobody = world.gw.run(|| std::fs::read_to_string("/proc/net/dev")).unwrap();
    for (arguments, code, told) in [
        ("--interface wan0", 2, "--down"),
        ("--interface wan0 --down 20", 2, "did you mean \"20M\""),
        ("--interface wan0 --down 2MB", 2, "did you mean \"16M\""),
        ("--interface wan1 --down 20M", 3, "there is no interface wan1"),
        ("--interface lo --down 20M --queue own", 3, "no Ethernet header"),
    ] {
        let process = spawn(&world.gw, &format!("{SIXGATE} shape {arguments}"));
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(code), "{arguments}: {}", process.output());
        assert!(process.output().contains(told), "{arguments}: {}", process.output());
    }
    let names =
        |text: &str| text.lines().filter_map(|l| l.split(':').next()).map(str::to_owned).collect::<Vec<_>>();
    let after = world.gw.run(|| std::fs::read_to_string("/proc/net/dev")).unwrap();
    assert_eq!(names(&after), names(&nobody));
}

/// An interface that goes away ends it, and says so; its successor of the same name would not be shaped.
#[test]
fn an_interface_that_goes_away_is_told() {
    let world = World::new("shape-gone");
    let process = shape(&world, "--down 19M --up 4750k --queue own");
    run(&world.gw, "ip link del wan0");
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(1), "{}", process.output());
    assert!(process.output().contains("wan0 went away"), "{}", process.output());
    let links = run(&world.gw, "ip -o link");
    assert!(!links.contains("six") && run(&world.gw, "nft list ruleset").trim().is_empty(), "{links}");
}

/// Packets as long as the interface takes, also where it took less when the queue came.
#[test]
fn an_mtu_that_grows_meanwhile_loses_nothing() {
    let world = World::new("shape-jumbo");
    let process = shape(&world, "--down 19M --up 4750k --queue own --json");
    for (host, device) in [(&world.gw, "wan0"), (&world.modem, "cpe0")] {
        run(host, &format!("ip link set {device} mtu 9000"));
    }
    let ping = run(&world.modem, "ping -n -c 3 -i 0.2 -M do -s 8000 2001:db8:2::2");
    assert!(ping.contains("3 received"), "{ping}");
    for direction in stopped(&process)["directions"].as_array().unwrap() {
        assert_eq!((&direction["not-sent"], &direction["missed"]), (&0.into(), &0.into()), "{direction}");
    }
}
