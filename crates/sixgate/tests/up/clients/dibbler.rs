//! dibbler-client: an address, and a prefix that it routes to its own LAN.

use super::*;
use sixgate_lab::Signal;

const CONFIG: &str =
    "log-mode short\nlog-level 7\ndownlink-prefix-ifaces \"eth1\"\niface \"eth0\" {\n ia\n pd\n}\n";

#[test]
fn dibbler_keeps_address_and_prefix_over_restarts() {
    let mut stage = Stage::new("c-dibbler", SHORT);
    let alice = stage.home.alice.clone();
    alice.write_file("/run/dibbler/client.conf", CONFIG).unwrap();
    alice.wait_link_local("eth0", PATIENCE).unwrap();
    let dibbler = client(&alice, "dibbler-client", &["run", "-w", "/run/dibbler"]);
    let held = stage.wait_held();
    // It routes the prefix to its LAN and leaves addresses there to others.
    let routed = || alice.route_to(held.prefix.network()).is_some_and(|route| route.interface == "eth1");
    alice.wait_for("the prefix on its LAN", PATIENCE, routed).unwrap();
    let carol = stage.route_downstream(&held);
    stage.assert_kept_over(&[Stage::crash_until_asked], &held);
    stage.assert_reached(carol);
    // It releases when it is told to end.
    dibbler.signal(Signal::SIGTERM).unwrap();
    stage.wait_released(&held);
    dibbler.wait(PATIENCE).unwrap();
    stage.end();
}
