//! Kea as the ISP's delegating server.

use super::*;

/// A gateway before this Kea, with its LANs in use.
fn gateway(home: &Home) -> (Sixgate, Ipv6Net) {
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let delegated = gateway.wait_delegated();
    assert_eq!(delegated.prefix_len(), 56);
    (gateway, delegated)
}

/// The addresses that the uplink has by DHCPv6.
fn leased(status: &Value) -> Vec<String> {
    let addresses = status["uplink"]["addresses"].as_array().unwrap();
    let dhcp = addresses.iter().filter(|address| address["origin"] == "dhcpv6");
    dhcp.map(|address| address["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_home_browses_and_keeps_its_prefix_over_stop_and_crash() {
    let home = home("kea");
    let line = Line::watch(&home);
    let kea = Kea::start(&home.isp, &Pools::default());
    internet(&home);
    let (running, delegated) = gateway(&home);
    assert!(DELEGATED.parse::<Ipv6Net>().unwrap().contains(&delegated));
    let address = running.wait_status("an address", |status| leased(status).pop());
    wait_in(&home.gw, "wan0", format!("{address}/128").parse().unwrap());
    let lan = running.wait_lan_prefix(0);
    assert!(delegated.contains(&lan) && delegated.contains(&running.wait_lan_prefix(1)));
    wait_in(&home.alice, "eth0", lan);
    wait_browses_by_name(&home.alice, lan);
    wait_extended(&running);
    assert_eq!(line.sent("dhcpv6.msgtype == 6"), 0, "no Rebind before a restart");
    assert!(line.sent("dhcpv6.msgtype == 5") > 0, "Renew");
    let solicits = line.sent("dhcpv6.msgtype == 1");

    // The time of the ISP's next answer tells that it was asked again, not only remembered.
    let restarted = |end: fn(Sixgate), running: Sixgate, rebinds: usize| {
        end(running);
        let (running, again) = gateway(&home);
        assert_eq!(again, delegated);
        running.wait_status("a bound client", |status| (status["uplink"]["client"] == "bound").then_some(()));
        assert_eq!(running.wait_status("the address", |status| leased(status).pop()), address);
        assert_eq!(running.wait_lan_prefix(0), lan);
        wait_browses_by_name(&home.alice, lan);
        let held = || held_in(&home.alice, "eth0", lan).contains(&false);
        home.alice.wait_for("a preferred address", PATIENCE, held).unwrap();
        assert!(line.sent("dhcpv6.msgtype == 6") >= rebinds, "{}", line.capture().summary());
        running
    };
    let running = restarted(Sixgate::stop, running, 1);
    let running = restarted(Sixgate::kill, running, 2);
    assert_eq!(line.sent("dhcpv6.msgtype == 1"), solicits, "a known prefix is not asked for anew");
    assert_eq!(line.sent("dhcpv6.msgtype == 8"), 0, "nothing is given back unless configured");
    running.stop();
    kea.stop();
    line.judge();
}

#[test]
fn leases_outlive_the_server_and_are_given_back_when_asked() {
    let home = home("keaaway");
    let line = Line::watch(&home);
    let kea = Kea::start(&home.isp, &Pools::default());
    internet(&home);
    let config = GATEWAY.replace("[uplink]\n", "[uplink]\nrelease = true\n");
    let gateway = Sixgate::start(&home.gw, &config);
    let delegated = gateway.wait_delegated();
    wait_in(&home.alice, "eth0", gateway.wait_lan_prefix(0));

    kea.stop();
    gateway.wait_status("a renewal without answer", |status| {
        (status["uplink"]["client"] == "renewing").then_some(())
    });
    wait_browses(&home.alice, &far());
    let kea = Kea::start(&home.isp, &Pools { t1: 200, ..Pools::default() });
    wait_extended(&gateway);
    assert_eq!(gateway.wait_delegated(), delegated);
    wait_browses(&home.alice, &far());

    gateway.stop();
    kea.wait_line("DHCP6_RELEASE_NA ");
    kea.wait_line("DHCP6_RELEASE_PD ");
    let leases = home.isp.read_file("/run/kea/leases.csv").unwrap();
    kea.stop();
    // The last line of a lease in a memfile counts: a valid lifetime of 0 is its end.
    for resource in [format!("{}", delegated.network()), "2001:db8:0:1::1".to_owned()] {
        let last = leases.lines().rfind(|line| line.starts_with(&resource)).unwrap_or_default();
        assert_eq!(last.split(',').nth(2), Some("0"), "{resource} in\n{leases}");
    }
    line.judge();
}

#[test]
fn an_isp_that_gives_a_prefix_and_no_address() {
    let home = home("keapd");
    let line = Line::watch(&home);
    let _kea = Kea::start(&home.isp, &Pools { addresses: None, ..Pools::default() });
    internet(&home);
    let (gateway, _) = gateway(&home);
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    // The gateway itself asks the ISP's resolver, from an address of a LAN.
    wait_browses_by_name(&home.alice, lan);
    wait_extended(&gateway);
    assert!(leased(&gateway.status()).is_empty());
    gateway.stop();
    line.judge();
}

#[test]
fn an_isp_whose_prefix_is_too_small_for_a_lan() {
    let home = home("kea65");
    let _kea = Kea::start(&home.isp, &Pools { prefixes: Some("2001:db8:100::/65"), ..Pools::default() });
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    assert_eq!(gateway.wait_delegated().prefix_len(), 65);
    let problems = gateway.status()["problems"].to_string();
    assert!(problems.contains("2001:db8:100::/65, which is too small for a LAN"), "{problems}");
    gateway.stop();
}

#[test]
fn an_isp_that_gives_an_address_and_no_prefix() {
    let home = home("keana");
    let line = Line::watch(&home);
    let kea = Kea::start(&home.isp, &Pools { prefixes: None, ..Pools::default() });
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let address = gateway.wait_status("an address", |status| leased(status).pop());
    wait_in(&home.gw, "wan0", format!("{address}/128").parse().unwrap());
    wait_browses(&home.gw, &far());
    gateway.wait_status("a sentence about the missing prefix", |status| {
        let problems = status["problems"].as_array().unwrap();
        problems.iter().any(|problem| problem.as_str().unwrap().contains("delegates no prefix")).then_some(())
    });
    assert!(gateway.status()["uplink"]["prefixes"].as_array().unwrap().is_empty());

    // Once the ISP has prefixes, the next renewal brings one.
    kea.stop();
    let _kea = Kea::start(&home.isp, &Pools::default());
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    wait_browses(&home.alice, &far());
    assert_eq!(gateway.status()["problems"], serde_json::json!([]));
    gateway.stop();
    line.judge();
}

#[test]
fn what_the_isp_excludes_stays_on_the_line() {
    const LINE: &str = "2001:db8:100::/64";
    const ROUTER: &str = "2001:db8:100::1";
    let home = home("keaexclude");
    let line = Line::watch(&home);
    home.isp.add_address_nodad("cust0", net(&format!("{ROUTER}/64"))).unwrap();
    advertise(&home.isp, LINE, "on");
    let gateway_address = IpAddr::from(home.gw.wait_link_local("wan0", PATIENCE).unwrap());
    home.isp.add_route(net("2001:db8:100::/56"), Some(gateway_address), "cust0").unwrap();
    serve(&home);
    let _kea = Kea::start(
        &home.isp,
        &Pools {
            subnet: LINE,
            addresses: None,
            prefixes: Some("2001:db8:100::/56"),
            excluded: Some("2001:db8:100::"),
            t1: 200,
        },
    );
    let config = GATEWAY.replace("interface = \"lan0\"\n", "interface = \"lan0\"\nsubnet = 7\n");
    let gateway = Sixgate::start(&home.gw, &config);
    assert_eq!(gateway.wait_delegated(), "2001:db8:100::/56".parse().unwrap());
    let lan = gateway.wait_lan_prefix(0);
    assert_eq!(lan, "2001:db8:100:7::/64".parse().unwrap());
    wait_in(&home.alice, "eth0", lan);
    wait_browses(&home.alice, &far());
    // The ISP's router has an address in the excluded prefix: it must be reached, and its packets must come in.
    wait_browses(&home.alice, &format!("http://[{ROUTER}]/"));
    wait_browses(&home.gw, &format!("http://[{ROUTER}]/"));
    assert_eq!(gateway.status()["firewall"]["spoofed-wan"]["packets"], 0);
    gateway.stop();
    line.judge();
}

#[test]
fn an_isp_that_answers_late() {
    let home = home("kealate");
    let line = Line::watch(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    line.capture().wait_fields("dhcpv6.msgtype == 1", &["frame.number"], 3, PATIENCE).unwrap();
    assert_eq!(gateway.status()["uplink"]["client"], "soliciting");
    let _kea = Kea::start(&home.isp, &Pools::default());
    gateway.wait_delegated();
    let lan = gateway.wait_lan_prefix(0);
    // Addresses on the LAN do not wait for a way out.
    wait_in(&home.alice, "eth0", lan);
    internet(&home);
    wait_browses_by_name(&home.alice, lan);
    gateway.stop();
    line.judge();
}
