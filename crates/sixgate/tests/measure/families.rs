//! Both families to one name.

use super::world::{FAR, FAR4, World, json, ms, python, run, sixgate};

fn named(world: &World) {
    world.here.write_file("/etc/hosts", format!("{FAR} far.example\n{FAR4} far.example\n")).unwrap();
}

#[test]
fn both_are_measured_and_the_race_is_told() {
    let world = World::delayed("families", ms(10));
    named(&world);
    let _server = python(&world.far, "/run", 80);
    let report = json(&world.here, "measure families far.example:80 --rounds 5 --interval 0.2 --json");
    for family in ["ipv6", "ipv4"] {
        assert_eq!(report[family]["failed"], 0, "{report}");
        // One round trip of 20 ms; what comes on top is a busy machine's.
        let least = report[family]["connect_ms"]["min"].as_f64().unwrap();
        assert!((20.0..60.0).contains(&least), "{report}");
    }
    assert_eq!(report["ipv6"]["wins"], 5, "{report}");
    assert_eq!(report["rounds"].as_array().unwrap().len(), 5);
}

#[test]
fn an_ipv6_that_is_broken_and_hidden_shows() {
    let world = World::delayed("hidden", ms(2));
    named(&world);
    let _server = python(&world.far, "/run", 80);
    run(&world.gw, "nft add table ip6 broken");
    run(&world.gw, "nft add chain ip6 broken passing { type filter hook forward priority 0 ; }");
    run(&world.gw, "nft add rule ip6 broken passing tcp dport 80 drop");
    let (code, said) = sixgate(&world.here, "measure families far.example:80 --rounds 2 --interval 0.2");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("IPv6 failed 2 of 2 times, and IPv4 hides it"), "{said}");
    run(&world.gw, "nft add table ip broken");
    run(&world.gw, "nft add chain ip broken passing { type filter hook forward priority 0 ; }");
    run(&world.gw, "nft add rule ip broken passing tcp dport 80 drop");
    let (code, said) = sixgate(&world.here, "measure families far.example:80 --rounds 1");
    assert!(code == Some(1) && said.contains("cannot be reached over either family"), "{said}");
}
