//! What RFC 9915 demands of a client where the kernel has a part in it, before Kea: docs/conformance.md names these tests.

use super::*;
use std::net::Ipv6Addr;

/// Whether every DHCPv6 message of the gateway came from its link-local address.
fn assert_from_link_local(line: &Line) {
    let sources = line.fields("dhcpv6", "ipv6.src");
    let local = |text: &String| text.parse::<Ipv6Addr>().is_ok_and(|source| source.is_unicast_link_local());
    assert!(!sources.is_empty() && sources.iter().all(local), "{sources:?}");
}

/// Sections 18.2.7, 18.2.10.1 and 21.6: an address is checked for duplicates before it is used, has 128 bits, and gives no
/// message its source; what is made of a prefix ends with it, and is taken back before the prefix is.
#[test]
fn what_is_leased_is_used_as_it_may_be_and_given_back_in_order() {
    let home = home("keaorder");
    let line = Line::watch(&home);
    let lan_seen = home.alice.capture("eth0").unwrap();
    let kea = Kea::start(&home.isp, &Pools { t1: 100, ..Pools::default() });
    internet(&home);
    // Longer than what the ISP gives.
    let lan_config = "interface = \"lan0\"\npreferred-lifetime = \"1h\"\nvalid-lifetime = \"2h\"\n";
    let config = GATEWAY
        .replace("[uplink]\n", "[uplink]\nrelease = true\n")
        .replace("interface = \"lan0\"\n", lan_config);
    let gateway = Sixgate::start(&home.gw, &config);
    gateway.wait_delegated();
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    let address = held_address(&home, ADDRESSED);
    // From the unspecified address: duplicate address detection.
    let asked = format!("icmpv6.type == 135 && ipv6.src == :: && icmpv6.nd.ns.target_address == {address}");
    line.capture().wait_fields(&asked, &["frame.number"], 1, PATIENCE).unwrap();
    let on_link = output(&home.gw, "ip", &["-6", "route", "show", "dev", "wan0", "proto", "kernel"]);
    assert!(
        !on_link.contains("2001:db8:0:1::/64"),
        "nothing is on the link because of an address: {on_link}"
    );
    let told = lan_seen
        .wait_fields(
            &format!("icmpv6.type == 134 && icmpv6.opt.prefix == {}", lan.network()),
            &["icmpv6.opt.prefix.valid_lifetime", "icmpv6.opt.prefix.preferred_lifetime"],
            1,
            PATIENCE,
        )
        .unwrap();
    for row in &told {
        let seconds: Vec<u32> =
            row.iter().map(|text| text.split(',').next().unwrap().parse().unwrap()).collect();
        assert!(seconds[0] <= 600 && seconds[1] <= 400, "the ISP gives 600 and 400 seconds: {row:?}");
    }
    gateway.stop();
    kea.wait_line("DHCP6_RELEASE_PD ");
    let time = |rows: Vec<Vec<String>>| rows.last().unwrap()[0].parse::<f64>().unwrap();
    let farewell = format!(
        "icmpv6.type == 134 && icmpv6.opt.prefix == {} && icmpv6.opt.prefix.preferred_lifetime == 0",
        lan.network()
    );
    let withdrawn = lan_seen.wait_fields(&farewell, &["frame.time_epoch"], 1, PATIENCE).unwrap();
    let released =
        line.capture().wait_fields("dhcpv6.msgtype == 8", &["frame.time_epoch"], 1, PATIENCE).unwrap();
    assert!(time(withdrawn[..1].to_vec()) < time(released[..1].to_vec()), "{withdrawn:?} {released:?}");
    assert_from_link_local(&line);
    kea.stop();
    line.judge();
}

/// The range of [`ADDRESSES`].
const ADDRESSED: &str = "2001:db8:0:1::1000/116";

/// The address in a network that the gateway's uplink has, which must be all by itself.
fn held_address(home: &Home, within: &str) -> Ipv6Addr {
    let within: Ipv6Net = within.parse().unwrap();
    let address = home.gw.wait_address("wan0", |address| within.contains(&address), PATIENCE).unwrap();
    let all = output(&home.gw, "ip", &["-6", "address", "show", "dev", "wan0"]);
    assert!(all.contains(&format!("{address}/128 ")), "{all}");
    address
}

/// Sections 18.2.8 and 18.2.10.1.
#[test]
fn an_address_that_somebody_has_is_declined_and_nothing_comes_from_it() {
    let home = home("keadad");
    let line = Line::watch(&home);
    // The first that Kea gives.
    let taken = "2001:db8:0:1::1000";
    home.isp.add_address_nodad("cust0", net(&format!("{taken}/128"))).unwrap();
    let kea = Kea::start(&home.isp, &Pools::default());
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    line.capture().wait_fields("dhcpv6.msgtype == 9", &["dhcpv6.iaaddr.ip"], 1, PATIENCE).unwrap();
    let declined = line.fields("dhcpv6.msgtype == 9", "dhcpv6.iaaddr.ip");
    assert!(declined.iter().all(|address| address == taken), "{declined:?}");
    let address = gateway.wait_status("another address", |status| {
        let addresses = status["uplink"]["addresses"].as_array()?;
        let texts = addresses.iter().filter_map(|address| address["what"].as_str());
        texts.filter_map(|text| text.parse::<Ipv6Addr>().ok()).find(|address| {
            ADDRESSED.parse::<Ipv6Net>().unwrap().contains(address) && address.to_string() != taken
        })
    });
    home.gw.wait_address("wan0", |held| held == address, PATIENCE).unwrap();
    assert_eq!(line.sent(&format!("ipv6.src == {taken}")), 0, "{}", line.capture().summary());
    assert_from_link_local(&line);
    gateway.stop();
    kea.stop();
    line.judge();
}

/// Section 18.2.4, before our own server: Kea gives no key for Reconfigure.
#[test]
fn a_gateway_whose_link_local_address_changes_renews_at_once() {
    let home = home("readdress");
    let line = Line::watch(&home);
    let isp = Sixgate::start(&home.isp, &format!("{}[reconfigure]\n", isp_config()));
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    gateway.wait_delegated();
    let before = home.gw.wait_link_local("wan0", PATIENCE).unwrap();
    let renewed = line.sent("dhcpv6.msgtype == 5");
    // A second one changes nothing; then the first goes.
    home.gw.add_address_nodad("wan0", net("fe80::77/64")).unwrap();
    home.gw.remove_address("wan0", net(&format!("{before}/64"))).unwrap();
    let from = "dhcpv6.msgtype == 5 && ipv6.src == fe80::77";
    line.capture().wait_fields(from, &["frame.number"], 1, PATIENCE).unwrap();
    assert_eq!(line.sent("dhcpv6.msgtype == 5"), renewed + 1, "{}", line.capture().summary());
    // And it is reached there.
    let asked = home.isp.spawn(&Command::new(SIXGATE).args(["reconfigure", "--all"])).unwrap();
    assert!(asked.wait(PATIENCE).unwrap().success(), "{}", asked.output());
    isp.wait_status("the gateway to come back", |status| {
        status["dhcp"]["reconfigure-answered"].as_u64().filter(|count| *count > 0)
    });
    gateway.stop();
    isp.stop();
    line.judge();
}
