//! systemd-networkd: an address, and a prefix of which it puts a part on its own LAN. Debian 12's version does not
//! release.

use super::*;

const UPLINK: &str = "[Match]\nName=eth0\n[Network]\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=yes\n\
                      [DHCPv6]\nDUIDType=link-layer\nIAID=1\nPrefixDelegationHint=::/64\n";
const LAN: &str = "[Match]\nName=eth1\n[Network]\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\nDHCPPrefixDelegation=yes\n\
                   [DHCPPrefixDelegation]\nUplinkInterface=eth0\nSubnetId=0\nToken=::1\n";

#[test]
fn networkd_keeps_address_and_prefix_over_restarts() {
    let mut stage = Stage::new("c-networkd", SHORT);
    let alice = stage.home.alice.clone();
    alice.write_file("/run/systemd/network/10-eth0.network", UPLINK).unwrap();
    alice.write_file("/run/systemd/network/10-eth1.network", LAN).unwrap();
    // With /sys read-only it does not wait for udev.
    let run = "mount -o remount,ro /sys; exec /lib/systemd/systemd-networkd";
    let networkd = Command::new("sh").args(["-c", run]).env("SYSTEMD_LOG_LEVEL", "debug");
    let networkd = alice.spawn(&networkd.env("SYSTEMD_LOG_TARGET", "console")).unwrap();
    let held = stage.wait_held();
    stage.assert_downstream_kept(&held);
    networkd.stop(PATIENCE).unwrap();
    stage.end();
}
