//! dhcp6c of WIDE-DHCPv6: an address, and a prefix that it puts on its own LAN.

use super::*;
use sixgate_lab::Signal;

const CONFIG: &str = "interface eth0 { send ia-na 1; send ia-pd 2; };\n\
                      id-assoc na 1 { };\n\
                      id-assoc pd 2 { prefix-interface eth1 { sla-id 0; sla-len 0; }; };\n";

#[test]
fn dhcp6c_keeps_address_and_prefix_over_restarts() {
    let mut stage = Stage::new("c-wide", SHORT);
    let alice = stage.home.alice.clone();
    alice.write_file("/run/dhcp6c.conf", CONFIG).unwrap();
    alice.wait_link_local("eth0", PATIENCE).unwrap();
    let dhcp6c =
        client(&alice, "dhcp6c", &["-f", "-D", "-c", "/run/dhcp6c.conf", "-p", "/run/dhcp6c.pid", "eth0"]);
    let held = stage.wait_held();
    stage.assert_downstream_kept(&held);
    // It releases when it is told to end.
    dhcp6c.signal(Signal::SIGTERM).unwrap();
    stage.wait_released(&held);
    dhcp6c.wait(PATIENCE).unwrap();
    stage.end();
}
