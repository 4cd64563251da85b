//! Hops, the path's MTU, black holes, and where delay stands.

use super::world::{FAR, FAR4, TOKEN, World, agree, json, median, ms, run, spawn};
use serde_json::Value;

fn path(report: &Value, family: &str) -> Value {
    let paths = report["paths"].as_array().unwrap();
    paths.iter().find(|path| path["family"] == family).unwrap_or_else(|| panic!("{family}: {report}")).clone()
}

#[test]
fn hops_and_mtu_of_both_families_and_ping_agrees() {
    let world = World::delayed("path", ms(15));
    world.here.write_file("/etc/hosts", format!("{FAR} far.example\n{FAR4} far.example\n")).unwrap();
    // The witness runs beside it: what this machine does meanwhile happens to both.
    let pings = [FAR, FAR4].map(|to| (to, spawn(&world.here, &format!("ping -c 30 -i 0.1 {to}"))));
    let report = json(&world.here, "measure path far.example --rounds 20 --json");
    for (family, hops, to) in [
        ("IPv6", ["2001:db8:1::1", "2001:db8:2::1", FAR], FAR),
        ("IPv4", ["192.0.2.1", "203.0.113.1", FAR4], FAR4),
    ] {
        let path = path(&report, family);
        assert_eq!(path["reached"], 3, "{path}");
        for (hop, from) in path["hops"].as_array().unwrap().iter().zip(hops) {
            assert_eq!((&hop["from"], &hop["sent"]), (&Value::from(from), &Value::from(20)), "{path}");
            // Linux sends one error a second after a burst of six (icmp_ratelimit).
            assert!(hop["answered"].as_u64().unwrap() >= 5, "{path}");
        }
        assert_eq!(path["pmtu"]["works"], 1500, "{path}");
        assert!(path["pmtu"]["black_hole"].is_null(), "{path}");
        let ping = &pings.iter().find(|(pinged, _)| *pinged == to).unwrap().1;
        assert!(ping.wait(super::world::PATIENCE).unwrap().success(), "{}", ping.output());
        let theirs: Vec<f64> = ping
            .output()
            .lines()
            .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok())
            .collect();
        let (ours, theirs) = (path["hops"][2]["rtt_ms"]["median"].as_f64().unwrap(), median(theirs));
        assert!(agree(ours, theirs), "{family}: ours {ours} ms, ping {theirs} ms");
    }
}

#[test]
fn a_small_mtu_is_told_and_a_hole_is_found() {
    let world = World::delayed("pmtu", ms(1));
    for (host, interface) in [(&world.isp, "core0"), (&world.far, "eth0")] {
        run(host, &format!("ip link set {interface} mtu 1400"));
    }
    let found = |world: &World| {
        path(&json(&world.here, &format!("measure path {FAR} --rounds 2 --json")), "IPv6")["pmtu"].clone()
    };
    assert_eq!(found(&world), serde_json::json!({ "works": 1400, "reported": 1400, "black_hole": null }));
    // A firewall that eats Packet Too Big.
    run(&world.gw, "nft add table ip6 eats");
    run(&world.gw, "nft add chain ip6 eats passing { type filter hook forward priority 0 ; }");
    run(&world.gw, "nft add rule ip6 eats passing icmpv6 type packet-too-big drop");
    let pmtu = found(&world);
    assert_eq!(pmtu["works"], 1400, "{pmtu}");
    assert!(pmtu["black_hole"].as_u64().unwrap() > 1400 && pmtu["reported"].is_null(), "{pmtu}");
}

#[test]
fn a_queue_is_found_where_it_stands() {
    let world = World::home("standing");
    let _far = world.serve("");
    let _load = spawn(
        &world.here,
        &format!("curl -sS -o /dev/null http://[{FAR}]:6465/down?seconds=60&token={TOKEN}"),
    );
    let find = || {
        let report = path(&json(&world.here, &format!("measure path {FAR} --rounds 20 --json")), "IPv6");
        (report["standing"]["before"] == 2).then_some(report)
    };
    let found =
        sixgate_lab::wait_some("the queue to be found", super::world::PATIENCE, find, String::new).unwrap();
    assert_eq!(found["standing"]["after"], 1, "{found}");
}
