//! Whose a fault is: a bottleneck with a deep buffer at each part of the way in turn, and a line that loses packets.

use super::world::{FAR, PATIENCE, SIXGATE, World, ids, run, spawn};
use serde_json::Value;
use sixgate_lab::{Host, Process};

/// A far end to load the line with.
fn far(world: &World) -> Process {
    let far = spawn(&world.far, &format!("{SIXGATE} measure serve --token tests-only --allow 2001:db8::/32"));
    far.wait_line("listening on ", PATIENCE).unwrap();
    far
}

/// A buffer of 250,000 octets before so many Mbit/s, where packets leave by this interface.
fn narrow(host: &Host, interface: &str, mbit: u32) {
    run(host, &format!("tc qdisc add dev {interface} root tbf rate {mbit}mbit burst 5000 limit 250000"));
}

/// What doctor finds under load: all is well but for one queue.
fn loaded(world: &World) -> Value {
    let (mut report, _) = world.doctor(&format!("--load {FAR} --token tests-only"));
    assert_eq!(ids(&report), ["queue"], "{report:#}");
    report["findings"][0]["seen"] = report["seen"].clone();
    report["findings"][0].take()
}

fn usual(world: &World) -> [Process; 3] {
    let services = [World::radvd(&world.gw, "lan0", &World::usual()), world.dnsmasq(""), far(world)];
    world.settled();
    services
}

#[test]
fn a_queue_of_this_machine_itself() {
    let world = World::paced("own-queue");
    let _services = usual(&world);
    // A sender keeps few octets of each flow in a queue of its own machine (TCP small queues).
    narrow(&world.laptop, "eth0", 1);
    let finding = loaded(&world);
    assert_eq!(finding["place"], "client", "{finding:#}");
    let local = &finding["seen"]["local"];
    assert!(local["kind"] == "tbf" && local["octets"].as_f64().unwrap() > 10_000.0, "{local}");
    assert!(local["wait_ms"].as_f64().unwrap() > 50.0, "{local}");
    assert!(
        finding["what"].as_str().unwrap().contains("in this machine's own queue, on eth0"),
        "{finding:#}"
    );
}

#[test]
fn a_queue_before_the_gateway() {
    let world = World::paced("lan-queue");
    let _services = usual(&world);
    narrow(&world.gw, "lan0", 5);
    let finding = loaded(&world);
    assert_eq!(finding["place"], "lan", "{finding:#}");
    assert!(finding["what"].as_str().unwrap().contains("on this link"), "{finding:#}");
}

#[test]
fn a_queue_beyond_the_isps_first_router() {
    let world = World::paced("isp-queue");
    let _services = usual(&world);
    narrow(&world.isp, "core0", 5);
    assert_eq!(loaded(&world)["place"], "isp");
}

#[test]
fn under_load_a_line_that_is_shaped_has_no_queue_and_no_loss() {
    let world = World::bloated("shaped");
    let _services = usual(&world);
    let shape = spawn(&world.gw, &format!("{SIXGATE} shape --interface wan0 --down 9M --up 9M --queue own"));
    shape.wait_line("on: wan0", PATIENCE).unwrap();
    // Where the machine has no time for the queue, packets wait for that: a queue that stands is found each time.
    let looks = (0..4).map(|_| world.doctor(&format!("--load {FAR} --token tests-only --fail-on note")));
    let mut found = Vec::new();
    for (report, code) in looks {
        assert_eq!(report["seen"]["loaded"], true);
        if ids(&report).is_empty() {
            assert_eq!(code, Some(0));
            return;
        }
        found.push(report["findings"].clone());
    }
    panic!("{found:#?}");
}

#[test]
fn a_line_that_loses_packets() {
    let world = World::lossy("loss");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    world.settled();
    let (report, _) = world.doctor(&format!("--target [{FAR}]:80"));
    let findings = report["findings"].as_array().unwrap();
    let loss =
        findings.iter().find(|finding| finding["id"] == "loss").unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(loss["place"], "access", "{report:#}");
    // Nobody listens at the target: whoever refuses a connection is reached. What is lost by chance is no black hole.
    assert!(!ids(&report).contains(&"mtu-black-hole".to_owned()), "{report:#}");
}

#[test]
fn a_way_that_ends_at_the_isp() {
    let world = World::new("ends");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    world.settled();
    run(&world.isp, "ip link set core0 down");
    let (report, _) = world.doctor(&format!("--target [{FAR}]:80"));
    let findings = report["findings"].as_array().unwrap();
    let broken = findings
        .iter()
        .find(|finding| finding["id"] == "ipv6-broken")
        .unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(broken["place"], "isp", "{report:#}");
}
