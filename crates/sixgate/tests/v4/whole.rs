//! Together with the rest: everybody reaches an IPv4 server, whether they have IPv4 or not.

use crate::network::*;
use crate::world::*;
use sixgate_lab::Host;

/// The ISP: IPv6 for the uplink, and what is appended.
fn isp(far: &Host, lan: &str) -> Sixgate {
    let config = format!(
        "[[lan]]\ninterface = \"eth0\"\nprefixes = [\"2001:db8:0:1::/64\"]\n{lan}[dns]\nenabled = false\n"
    );
    Sixgate::start(far, &config)
}

const UPLINK: &str = "[uplink]\ninterface = \"wan0\"\nprefix = false\n";

/// The laptop by NAT64, the printer by NAT44 and the router that DHCPv4 told it of.
#[test]
fn a_laptop_without_ipv4_and_a_printer_with_nothing_else_reach_the_same_server() {
    let segment = Segment::new("v4-whole");
    let isp = isp(&segment.far, "");
    let config = format!("{UPLINK}{LAN}{NAT64}[ipv4]\n");
    let sixgate = segment.serve(&config);
    let laptop = dhcpcd(&segment.new, CAPABLE);
    let printer = udhcpc(&segment.lab, &segment.third);
    wait_heeded(&sixgate, &laptop);
    wait_leased(&sixgate, &segment.third);
    assert_eq!(address(&segment.new), None);
    wait_in(&segment.new, "eth0", "2001:db8:1::/64".parse().unwrap());
    let reaches = |host: &Host, address: &str| {
        let ping = sixgate_lab::Command::new("ping").args(["-c", "1", "-W", "1", address]);
        let done = || host.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success();
        let what = format!("{} reaches {address}", host.name());
        host.wait_for(&what, PATIENCE, done).unwrap_or_else(|error| panic!("{error}\n{}", sixgate.log()));
    };
    reaches(&segment.new, "2001:db8:64::c633:6402");
    reaches(&segment.third, "198.51.100.2");
    printer.stop(PATIENCE).unwrap();
    laptop.stop(PATIENCE).unwrap();
    isp.stop();
    segment.end(sixgate);
}

/// The ISP's router tells of its NAT64 (RFC 8781): that is as good as one of ours.
#[test]
fn the_isps_nat64_lets_clients_be_told() {
    let segment = Segment::new("v4-isp64");
    segment.take_way_out();
    output(&segment.gw, "ip", &["addr", "flush", "dev", "wan0", "scope", "global"]);
    let isp = isp(&segment.far, "pref64 = \"2001:db8:64::/96\"\n");
    let sixgate = segment.serve(&format!("{UPLINK}{LAN}[ipv4]\n"));
    let laptop = dhcpcd(&segment.new, CAPABLE);
    wait_heeded(&sixgate, &laptop);
    assert_eq!(address(&segment.new), None);
    // The uplink's cable: no IPv6 beyond, nobody is told.
    segment.far.set_up("eth0", false).unwrap();
    wait_told(&sixgate, false);
    laptop.stop(PATIENCE).unwrap();
    isp.stop();
    segment.end(sixgate);
}
