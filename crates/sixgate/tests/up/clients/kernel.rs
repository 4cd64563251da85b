//! Linux itself: stateless address autoconfiguration (RFC 4862).

use super::*;

#[test]
fn the_kernel_forms_an_address_keeps_it_over_restarts_and_deprecates_it_at_a_stop() {
    let mut stage = Stage::new("c-kernel", "");
    let alice = stage.home.alice.clone();
    let address = wait_in(&alice, "eth0", stage.lan);
    let gateway = stage.home.gw.wait_link_local("lan0", PATIENCE).unwrap();
    let far: Ipv6Addr = FAR.parse().unwrap();
    let default = || {
        let route = alice.route_to(far)?;
        (route.to.prefix_len() == 0 && route.via == Some(gateway)).then_some(())
    };
    let wait_default = |stage: &Stage| {
        wait_some("a default route", PATIENCE, default, || stage.state())
            .unwrap_or_else(|error| panic!("{error}"));
    };
    wait_default(&stage);
    stage.assert_reached(address);

    let preferred = |stage: &Stage| {
        let ours: Vec<_> =
            alice.addresses().into_iter().filter(|a| stage.lan.contains(&a.net.addr())).collect();
        assert_eq!(ours.len(), 1, "{ours:?}");
        ours[0].net.addr() == address && !ours[0].deprecated
    };
    assert!(preferred(&stage));
    // A crash is not seen by hosts at all.
    stage.crash();
    wait_default(&stage);
    assert!(preferred(&stage));
    stage.assert_reached(address);
    // A stop is: the address is deprecated and the route gone, until the gateway is back.
    stage.gateway.take().unwrap().stop();
    alice.wait_for("deprecation", PATIENCE, || !preferred(&stage)).unwrap();
    alice.wait_for("no default route", PATIENCE, || default().is_none()).unwrap();
    stage.start_again();
    alice.wait_for("the address as before", PATIENCE, || preferred(&stage)).unwrap();
    wait_default(&stage);
    stage.assert_reached(address);
    stage.end();
}
