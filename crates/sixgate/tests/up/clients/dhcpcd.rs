//! dhcpcd: an address and a prefix that it puts on its own LAN, its name, and renewals on demand.

use super::*;
use sixgate_lab::Signal;

const CONFIG: &str = "nodev\nduid\nipv6only\nhostname\nnohook resolv.conf\nnoipv6rs\n\
                      interface eth0\nipv6rs\nia_na 1\nia_pd 2/::/64 eth1/0/64\n";

#[test]
fn dhcpcd_keeps_address_prefix_and_name_over_restarts() {
    let mut stage = Stage::new("c-dhcpcd", "slaac = false\n");
    let alice = stage.home.alice.clone();
    alice.write_file("/run/dhcpcd.conf", CONFIG).unwrap();
    let dhcpcd = client(&alice, "dhcpcd", &["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0", "eth1"]);
    let held = stage.wait_held();
    let downstream = stage.wait_downstream(&held);
    stage.assert_reached(downstream);
    assert_named(&stage, &held);

    for end in [Stage::restart, Stage::crash] {
        end(&mut stage);
        stage.assert_in_use(&held);
        assert_named(&stage, &held);
        // As `dhcpcd -N`, whose socket serves only the first who calls.
        dhcpcd.signal(Signal::SIGUSR1).unwrap();
        stage.wait_renewed(&held);
        assert_eq!(stage.wait_downstream(&held), downstream);
        stage.assert_reached(downstream);
    }
    // As `dhcpcd -k`.
    dhcpcd.signal(Signal::SIGALRM).unwrap();
    stage.wait_released(&held);
    dhcpcd.wait(PATIENCE).unwrap();
    stage.end();
}

/// The name that the client sent leads to its address, and back.
fn assert_named(stage: &Stage, held: &Held) {
    let server = format!("@{}1", stage.lan.network());
    let answer = output(&stage.home.alice, "dig", &["+short", &server, "alice.home.arpa", "AAAA"]);
    assert_eq!(answer.trim(), held.address.to_string());
    let answer = output(&stage.home.alice, "dig", &["+short", &server, "-x", &held.address.to_string()]);
    assert_eq!(answer.trim(), "alice.home.arpa.");
}
