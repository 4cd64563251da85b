//! Reconfigure through relay agents (RFC 9915 section 18.3.11): dhcpcd comes back when it is asked, behind dnsmasq's agent,
//! behind our own, and behind both in a row; also after a restart of the server.

use crate::network::*;
use sixgate_lab::{Command, Host, Lab, Link, Process, root_for_tests};

/// dhcpcd, which takes Reconfigure messages.
fn dhcpcd(host: &Host) -> Process {
    let config = "nodev\nduid\nipv6only\nnohook resolv.conf\nnoipv6rs\ninterface eth0\nia_na 1\noption dhcp6_reconfigure_accept\n";
    host.wait_link_local("eth0", PATIENCE).unwrap();
    host.write_file("/run/dhcpcd.conf", config).unwrap();
    host.spawn(&Command::new("dhcpcd").args(["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"])).unwrap()
}

/// Waits until the server has counted so many clients that came back.
fn wait_answered(server: &Sixgate, client: &Process, count: u64) {
    let answered = || server.json(&["status"])["dhcp"]["reconfigure-answered"].as_u64().unwrap();
    let state = || format!("{}\n{}\n{}", server.json(&["status"]), server.process.output(), client.output());
    sixgate_lab::wait_some(
        "a client that comes back",
        PATIENCE,
        || (answered() >= count).then_some(()),
        state,
    )
    .unwrap_or_else(|error| panic!("{error}"));
}

/// The client is bound, and comes back each time it is asked.
fn comes_back(server: Sixgate, config: &str, client: &Host) -> Sixgate {
    let client = dhcpcd(client);
    server.wait_leases("a lease", |leases| (!leases.is_empty()).then_some(()));
    let ask = |server: &Sixgate| {
        let (code, said) = said(&server.host, &["reconfigure", "--all"]);
        assert_eq!((code, said.as_str()), (Some(0), "1 clients are being asked\n"));
    };
    ask(&server);
    wait_answered(&server, &client, 1);
    // Where it is was kept.
    let server = server.crash(config);
    ask(&server);
    wait_answered(&server, &client, 1);
    client.stop(PATIENCE).unwrap();
    server
}

#[test]
fn dhcpcd_comes_back_behind_dnsmasqs_relay_agent() {
    let network = Network::new("rc-dnsmasq");
    let _relay = network.start_relay();
    let config = config("[reconfigure]\n");
    let server = comes_back(Sixgate::start(&network.server, &config), &config, &network.client);
    drop(server);
    let asked =
        network.seen.fields("dhcpv6.msgtype == 13 && dhcpv6.msgtype == 10", &["dhcpv6.reconf_msg"]).unwrap();
    assert!(asked.len() >= 2, "{}", network.seen.summary());
    network.assert_clean();
}

#[test]
fn dhcpcd_comes_back_behind_our_own_relay_agent() {
    let network = Network::new("rc-ours");
    // It gives itself its address.
    network.relay.remove_address("lan0", net(&format!("{LINK}/64"))).unwrap();
    let _relay =
        Sixgate::start(&network.relay, &agent("prefixes = [\"2001:db8:1::/64\"]\ninterface-id = \"lan7\"\n"));
    let config = config("[reconfigure]\n");
    let server = comes_back(Sixgate::start(&network.server, &config), &config, &network.client);
    drop(server);
    let asked = network
        .seen
        .fields("dhcpv6.msgtype == 13 && dhcpv6.msgtype == 10", &["dhcpv6.interface_id"])
        .unwrap();
    assert!(asked.len() >= 2 && asked.iter().all(|row| row[0] == "6c616e37"), "{asked:?}");
    network.assert_clean();
}

/// Our own relay agent on `lan0`.
fn agent(lan: &str) -> String {
    format!(
        "state = \"/run/sixgate/state\"\n[[lan]]\ninterface = \"lan0\"\nslaac = false\nrelay = [\"{SERVER}\"]\n{lan}\
         [dns]\nenabled = false\n"
    )
}

/// ```text
/// client eth0 ---- lan0 access core0 ---- lan0 relay core0 ---- eth0 server
///          2001:db8:1::1    2001:db8:fe::2     ::1   2001:db8:ff::1     ::547
/// ```
#[test]
fn dhcpcd_comes_back_behind_two_relay_agents_in_a_row() {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new("rc-row").unwrap();
    let [client, access, relay, server] =
        ["client", "access", "relay", "server"].map(|name| lab.host(name).unwrap());
    access.set_forwarding(true).unwrap();
    relay.set_forwarding(true).unwrap();
    lab.link(Link::between((&client, "eth0"), (&access, "lan0"))).unwrap();
    lab.link(Link::between((&access, "core0"), (&relay, "lan0"))).unwrap();
    lab.link(Link::between((&relay, "core0"), (&server, "eth0"))).unwrap();
    for (host, interface, address) in [
        (&access, "lan0", format!("{LINK}/64")),
        (&access, "core0", "2001:db8:fe::2/64".to_owned()),
        (&relay, "core0", format!("{RELAY}/64")),
        (&server, "eth0", format!("{SERVER}/64")),
    ] {
        host.add_address_nodad(interface, net(&address)).unwrap();
    }
    let seen = server.capture("eth0").unwrap();
    let _ours = Sixgate::start(
        &relay,
        &agent("prefixes = [\"2001:db8:fe::/64\"]\nrelay-from = [\"2001:db8:fe::2\"]\n"),
    );
    let dnsmasq = Command::new("dnsmasq")
        .args(["--conf-file=/dev/null", "--no-daemon", "--port=0", "--user=root"])
        .arg(format!("--dhcp-relay={LINK},2001:db8:fe::1"))
        .args(["--log-dhcp", "--pid-file=/run/dnsmasq.pid"]);
    access.spawn(&dnsmasq).unwrap().wait_line("relay", PATIENCE).unwrap();
    let config = config("[reconfigure]\n")
        .replace(&format!("from = [\"{RELAY}\"]"), &format!("from = [\"{RELAY}\", \"2001:db8:fe::2\"]"));
    let server = comes_back(Sixgate::start(&server, &config), &config, &client);
    drop(server);
    let asked = seen.fields("dhcpv6.msgtype == 10", &["dhcpv6.msgtype"]).unwrap();
    assert!(asked.len() >= 2 && asked.iter().all(|row| row[0] == "13,13,10"), "{asked:?}");
    seen.assert_clean("dhcpv6").unwrap();
}
