//! dhclient of ISC DHCP: an address and a prefix, renewed when T1 says so.

use super::*;

const FILES: [&str; 6] =
    ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];

#[test]
fn dhclient_keeps_address_and_prefix_over_restarts() {
    let mut stage = Stage::new("c-dhclient", SHORT);
    let alice = stage.home.alice.clone();
    alice.write_file("/run/dhclient.conf", "").unwrap();
    alice.write_file("/run/dhclient.leases", "").unwrap();
    let run = |how: &[&str]| {
        let arguments: Vec<&str> =
            ["-6", "-N", "-P", "-v"].iter().chain(how).chain(&FILES).copied().collect();
        client(&alice, "dhclient", &[&arguments[..], &["eth0"]].concat())
    };
    let dhclient = run(&["-d"]);
    let held = stage.wait_held();
    // It leaves the prefix to others.
    let carol = stage.route_downstream(&held);
    stage.assert_kept_over(&[Stage::restart, Stage::crash], &held);
    stage.assert_reached(carol);
    // Ended without a release and back again, it asks for what it had: with a prefix by Rebind (RFC 9915 section 18.2.12).
    run(&["-x"]).wait(PATIENCE).unwrap();
    dhclient.wait(PATIENCE).unwrap();
    assert_eq!(stage.gateway().status()["dhcp"]["release"], 0);
    let dhclient = run(&["-d"]);
    stage
        .gateway()
        .wait_status("a rebinding", |status| (status["dhcp"]["rebind"].as_u64()? > 0).then_some(()));
    stage.assert_in_use(&held);
    let release = run(&["-r"]);
    stage.wait_released(&held);
    release.wait(PATIENCE).unwrap();
    dhclient.wait(PATIENCE).unwrap();
    stage.end();
}
