//! `sixgate up --profile`: a network from one command and no file.

use crate::network::*;
use ipnet::IpNet;
use sixgate_lab::{Command, Transport};

/// Of no network in particular: 64:ff9b::/96 leads to global addresses only.
const SERVER: &str = "192.31.196.1";

fn net4(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// One command on a machine without configuration: who is on that VLAN has IPv6 alone and reaches an IPv4 server.
#[test]
fn event_serves_an_ipv6_only_segment() {
    let Home { isp, gw, alice, lab: _lab, .. } = home("up-profile");
    isp.add_address("lo", net4(&format!("{SERVER}/32"))).unwrap();
    isp.add_address("cust0", net4("198.51.100.1/24")).unwrap();
    gw.add_address("wan0", net4("198.51.100.2/24")).unwrap();
    gw.add_route(net4("0.0.0.0/0"), Some("198.51.100.1".parse().unwrap()), "wan0").unwrap();
    let isp_side = Sixgate::start(&isp, &isp_config());
    let python = ["-m", "http.server", "--bind", SERVER, "--directory", "/usr/share/dns", "8080"];
    let _server = isp.spawn(&Command::new("python3").args(python)).unwrap();
    isp.wait_for("the server", PATIENCE, || isp.listening(Transport::Tcp, 8080)).unwrap();

    // The state folder is the default one: here the machine's, unless something of this host's own lies over it.
    let one_command = format!(
        "mount -t tmpfs tmpfs /var/lib && exec {SIXGATE} up --profile event --uplink wan0 --lan lan0 -v"
    );
    let process = gw.spawn(&Command::new("sh").args(["-c", one_command.as_str()])).unwrap();
    let sixgate = Sixgate { host: gw.clone(), process };
    sixgate.process.wait_line(" serving ", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", sixgate.log()));
    let prefix = sixgate.wait_lan_prefix(0);
    wait_in(&alice, "eth0", prefix);
    let told = output(&alice, "rdisc6", &["-1", "eth0"]);
    assert!(told.contains("Recursive DNS server"), "{told}");
    let curl = Command::new("curl").args([
        "-sS",
        "-m",
        "5",
        "-o",
        "/dev/null",
        "http://[64:ff9b::192.31.196.1]:8080/",
    ]);
    let fetched = || alice.spawn(&curl).unwrap().wait(PATIENCE).unwrap().success();
    alice.wait_for("a page from an IPv4 server", PATIENCE, fetched).unwrap_or_else(|error| {
        panic!("{error}\n{}", sixgate.log());
    });
    let ipv4 = output(&alice, "ip", &["-4", "address", "show", "dev", "eth0"]);
    assert!(ipv4.trim().is_empty(), "{ipv4}");
    assert!(sixgate.status()["lans"][0]["ipv4"].is_null());
    output(&gw, SIXGATE, &["census"]);
    assert!(output(&gw, SIXGATE, &["web"]).contains("6464"));
    sixgate.stop();
    isp_side.stop();
}
