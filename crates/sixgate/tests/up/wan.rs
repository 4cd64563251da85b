//! What the WAN gets from a gateway, and what a LAN gets out: nothing that was not asked for, and nothing forged.

use crate::network::*;
use crate::uplinks::{Kea, Line, Pools, far, internet, wait_browses};
use sixgate_lab::{Command, Host, Transport};
use std::time::Duration;

/// Every TCP port and the gateway's own UDP ports; as fast as a machine scans. A lost probe is repeated once.
const SCAN: &str = "-6 -n -Pn -T5 --min-rate 20000 --max-retries 1 -oG -";

/// Scans `targets`: nmap's greppable lines that tell of ports.
fn scan(host: &Host, what: &str, targets: &[&str]) -> Vec<String> {
    let nmap = Command::new("nmap").args(SCAN.split(' ')).args(what.split(' ')).args(targets);
    let process = host.spawn(&nmap).unwrap();
    let status = process.wait(Duration::from_mins(1)).unwrap();
    let text = process.output();
    assert!(status.success() && text.contains("Nmap done"), "{text}");
    text.lines().filter(|line| line.contains("Ports: ")).map(str::to_owned).collect()
}

fn dropped(gateway: &Sixgate, counter: &str) -> u64 {
    gateway.status()["firewall"][counter]["packets"].as_u64().unwrap()
}

#[test]
fn a_scan_from_outside_gets_no_answer_at_all() {
    let home = home("scan");
    let line = Line::watch(&home);
    let _kea = Kea::start(&home.isp, &Pools { t1: 200, ..Pools::default() });
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    wait_browses(&home.alice, &far());
    let outside = gateway.status()["uplink"]["addresses"][0]["what"].as_str().unwrap().to_owned();
    let inside = format!("{}1", lan.network());
    let targets = [outside.as_str(), inside.as_str()];

    // From the LAN the scan does find what is there. On a busy machine nmap in its haste may give a host up: then again.
    let finds = |arguments: &str, wanted: &[&str]| {
        let found = (0..5).map(|_| scan(&home.alice, arguments, &targets)).find(|lines| {
            lines.iter().any(|line| line.contains(&inside) && wanted.iter().all(|port| line.contains(port)))
        });
        assert!(found.is_some(), "{arguments} finds none of {wanted:?}");
    };
    finds("-sS -p 53,54", &["53/open/tcp", "54/closed/tcp"]);
    finds("-sU -p 53", &["53/open/udp"]);

    let before = dropped(&gateway, "wan-input-dropped");
    let tcp = scan(&home.isp, "-sS -p-", &targets);
    assert_eq!(tcp.len(), 2, "{tcp:?}");
    assert!(tcp.iter().all(|line| line.contains("Ignored State: filtered (65535)")), "{tcp:?}");
    let udp = scan(&home.isp, "-sU -p 53,546,547", &targets);
    assert_eq!(udp.len(), 2, "{udp:?}");
    for line in &udp {
        assert_eq!(line.matches("/open|filtered/udp/").count(), 3, "{line}");
    }
    // All probes arrived, and all were refused.
    let refused = dropped(&gateway, "wan-input-dropped") - before;
    assert!(refused >= 2 * 65_535, "{refused} probes");
    wait_browses(&home.alice, &far());
    gateway.stop();
    line.judge();
}

#[test]
fn nothing_forged_leaves_and_nothing_unasked_comes_in() {
    const FORGED: &str = "2001:db8:bad::1";
    let home = home("forged");
    let line = Line::watch(&home);
    let _kea = Kea::start(&home.isp, &Pools { t1: 200, ..Pools::default() });
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let lan = gateway.wait_lan_prefix(0);
    let alice = wait_in(&home.alice, "eth0", lan);
    wait_in(&home.bob, "eth0", gateway.wait_lan_prefix(1));
    // Afterwards the client knows the gateway's link-layer address: what it forges is the packet alone.
    wait_browses(&home.alice, &far());

    home.alice.add_address_nodad("eth0", net(&format!("{FORGED}/128"))).unwrap();
    let forged = ["-I", FORGED, "-c", "5", "-i", "0.02", "-W", "1", FAR];
    let ping = home.alice.spawn(&Command::new("ping").args(forged)).unwrap();
    assert!(!ping.wait(PATIENCE).unwrap().success(), "{}", ping.output());
    assert!(ping.output().contains("5 packets transmitted, 0 received"), "{}", ping.output());
    let curl = ["-sS", "--max-time", "2", "--interface", FORGED, &far()];
    let curl = home.alice.spawn(&Command::new("curl").args(curl)).unwrap();
    assert!(!curl.wait(PATIENCE).unwrap().success(), "{}", curl.output());
    let counted = dropped(&gateway, "spoofed-lan0");
    assert!(counted >= 6, "{counted} forged packets counted");
    assert_eq!(dropped(&gateway, "spoofed-lan1"), 0);
    home.alice.remove_address("eth0", net(&format!("{FORGED}/128"))).unwrap();
    wait_browses(&home.alice, &far());

    // A server on the LAN: there for the other LAN, not there for the WAN.
    let web = ["-m", "http.server", "8080", "--bind", "::", "--directory", "/run"];
    home.alice.spawn(&Command::new("python3").args(web)).unwrap();
    let listens = || home.alice.listening(Transport::Tcp, 8080);
    home.alice.wait_for("the web server", PATIENCE, listens).unwrap();
    let url = format!("http://[{alice}]:8080/");
    output(&home.bob, "curl", &["-sS", "-o", "/dev/null", "--max-time", "20", &url]);
    let before = dropped(&gateway, "wan-forward-dropped");
    let curl = Command::new("curl").args(["-sS", "--max-time", "2", &url]);
    let curl = home.isp.spawn(&curl).unwrap();
    assert_eq!(curl.wait(PATIENCE).unwrap().code(), Some(28), "timed out: {}", curl.output());
    assert!(dropped(&gateway, "wan-forward-dropped") > before);
    wait_browses(&home.alice, &far());

    gateway.stop();
    assert_eq!(line.sent(&format!("ipv6.src == {FORGED}")), 0);
    // The capture did see what was not forged.
    assert!(line.sent(&format!("ipv6.src == {alice} && tcp.dstport == 80")) > 0);
    assert_eq!(line.sent("tcp.srcport == 8080"), 0);
    line.judge();
}
