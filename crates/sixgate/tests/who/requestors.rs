//! Leasequery: a requestor that was written from the RFCs asks, and tshark reads along.

use crate::dibbler::{self, text};
use crate::network::*;
use sixgate_lab::{Command, Process, Signal};

const CONFIG: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
    [[lan]]\ninterface = \"lan1\"\nslaac = false\nprefixes = [\"2001:db8:2::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
    delegate-length = 56\n[leasequery]\nfrom = [\"2001:db8:1::/64\"]\n";
/// The gateway on alice's LAN.
const SERVER: &str = "2001:db8:1::1";

fn requestor(home: &Home, arguments: &[&str]) -> Process {
    home.alice.write_file("/run/requestor.py", include_str!("requestor.py")).unwrap();
    let all = ["/run/requestor.py", SERVER].iter().chain(arguments).copied();
    home.alice.spawn(&Command::new("python3").args(all)).unwrap()
}

fn ask(home: &Home, arguments: &[&str]) -> String {
    let process = requestor(home, arguments);
    let status = process.wait(PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", process.output()));
    assert!(status.success(), "{arguments:?}: {}", process.output());
    process.output()
}

/// Address, prefix and DUID of dibbler on bob, once it has them.
fn bind(home: &Home, gateway: &Sixgate) -> (Process, String, String, String) {
    let (client, [address, prefix]) = dibbler::bind(home, gateway);
    let duid = text(&address, "duid").replace(':', "");
    (client, text(&address, "resource"), text(&prefix, "resource"), duid)
}

#[test]
fn one_at_a_time_in_bulk_and_as_they_change() {
    let home = home("leasequery");
    let gateway = Sixgate::start(&home.gw, CONFIG);
    wait_in(&home.alice, "eth0", "2001:db8:1::/64".parse().unwrap());
    let seen = home.alice.capture("eth0").unwrap();
    // Who stays connected hears of what comes.
    let active = requestor(&home, &["active", "link", "::"]);
    active.wait_line("reply 0", PATIENCE).unwrap();
    let (client, address, prefix, duid) = bind(&home, &gateway);
    active.wait_line(&format!("data 0 {duid}={address}/"), PATIENCE).unwrap();
    let prefix = prefix.replace("/56", "");
    active.wait_line(&format!("data 0 {duid}={prefix}/56/"), PATIENCE).unwrap();

    let one = ask(&home, &["udp", "address", "::", &address]);
    assert!(one.starts_with(&format!("reply 0 {duid}={address}/")), "{one}");
    let inside = prefix.replacen("::", ":0:1::5", 1);
    assert!(ask(&home, &["udp", "address", "::", &inside]).contains(&format!("{prefix}/56/")));
    let both = ask(&home, &["udp", "client", "::", &duid]);
    assert!(both.contains(&address) && both.contains(&prefix), "{both}");
    assert_eq!(ask(&home, &["udp", "address", "::", "2001:db8:2::dead"]), "reply 0\n");
    assert_eq!(ask(&home, &["udp", "link", "::"]), "reply 10\n", "not allowed: over TCP only");

    let bulk = ask(&home, &["tcp", "link", "2001:db8:2::"]);
    let lines: Vec<&str> = bulk.lines().collect();
    assert_eq!((lines.len(), &lines[1..]), (3, &["done 0", "closed"][..]), "{bulk}");
    assert!(lines[0].contains(&address) && lines[0].contains(&prefix), "{bulk}");
    assert_eq!(ask(&home, &["tcp", "link", "2001:db8:1::"]), "reply 0\nclosed\n");
    assert_eq!(ask(&home, &["tcp", "relay", "::", "00030001020000000001"]), "reply 0\nclosed\n");
    assert_eq!(ask(&home, &["tcp", "link", "2001:db8:77::"]), "reply 9\nclosed\n");

    // What is given back is told as ended.
    client.signal(Signal::SIGTERM).unwrap();
    active.wait_line(&format!("data 0 {duid}={address}/0"), PATIENCE).unwrap();
    client.wait(PATIENCE).unwrap();
    let counters = gateway.status()["dhcp"].clone();
    let count = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!((count("leasequery-answered"), count("leasequery-active")), (4, 1), "{counters}");
    assert!(count("leasequery-updates") >= 4);
    active.stop(PATIENCE).unwrap();
    gateway.stop();
    seen.stop().unwrap();
    // tshark knows not every type; what it knows it finds nothing wrong with.
    seen.assert_clean("dhcpv6.msgtype != 22 && !(_ws.expert.message contains \"Bulk Leasequery\")").unwrap();
}

#[test]
fn nobody_is_told_who_was_not_named() {
    let home = home("leasequery-no");
    let config = CONFIG.replace("from = [\"2001:db8:1::/64\"]", "from = [\"2001:db8:5::/64\"]");
    let gateway = Sixgate::start(&home.gw, &config);
    wait_in(&home.alice, "eth0", "2001:db8:1::/64".parse().unwrap());
    assert_eq!(ask(&home, &["udp", "address", "::", "2001:db8:2::7"]), "reply 10\n");
    let refused = requestor(&home, &["tcp", "link", "::"]);
    refused.wait(PATIENCE).unwrap();
    assert_eq!(refused.output(), "closed\n");
    gateway
        .wait_status("refusals", |status| status["dhcp"]["leasequery-refused"].as_u64().filter(|n| *n == 2));
    gateway.stop();
    // Off: nothing listens.
    let (config, _) = CONFIG.split_once("[leasequery]").unwrap();
    let gateway = Sixgate::start(&home.gw, config);
    assert!(!home.gw.listening(sixgate_lab::Transport::Tcp, 547));
    gateway.stop();
}
