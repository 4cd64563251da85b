//! Reservations: from a file and by command, over restarts, for clients that others wrote.

use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Command, Host, Process, Signal};
use std::fmt::Write as _;

const LAN: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nslaac = false\n\
                   delegate-from = [\"2001:db8:100::/40\"]\ndelegate-length = 56\ntrust = [\"link\", \"duid\"]\n\
                   [dhcp]\nreservations = \"/run/reservations.csv\"\n";

fn list(sixgate: &Sixgate) -> Value {
    // Longer than what a program's output is kept of.
    let file = "/run/list.json";
    let command = format!("{SIXGATE} reservation list --json > {file}");
    output(&sixgate.host, "sh", &["-ec", &command]);
    serde_json::from_str(&sixgate.host.read_file(file).unwrap()).unwrap()
}

fn run(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let process = host.spawn(&Command::new(SIXGATE).args(arguments)).unwrap();
    (process.wait(PATIENCE).unwrap().code(), process.output())
}

fn dhcpcd(host: &Host) -> Process {
    let config = "nodev\nduid ll\nipv6only\nnohook resolv.conf\nnoipv6rs\ninterface eth0\nipv6rs\nia_na 1\nia_pd 2/::/56\n";
    host.write_file("/run/dhcpcd.conf", config).unwrap();
    host.spawn(&Command::new("dhcpcd").args(["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"])).unwrap()
}

fn mac(host: &Host) -> String {
    let text = output(host, "cat", &["/sys/class/net/eth0/address"]);
    text.trim().to_owned()
}

#[test]
fn a_machine_gets_what_a_file_and_a_command_reserve() {
    let home = home("p-reserved");
    let seen = home.gw.capture("lan0").unwrap();
    let mac = mac(&home.alice);
    let mut file = String::from("mac,address,prefix,hostname\n");
    for n in 0..20_000_u32 {
        let [.., a, b] = n.to_be_bytes();
        writeln!(file, "06:00:00:00:{a:02x}:{b:02x},2001:db8:1::2:{n:x},,").unwrap();
    }
    // Outside of what prefixes are delegated from.
    writeln!(file, "{mac},2001:db8:1::77,2001:db8:7700::/48,laptop").unwrap();
    home.gw.write_file("/run/reservations.csv", &file).unwrap();
    let sixgate = Sixgate::start(&home.gw, LAN);
    assert_eq!(list(&sixgate)["reservations"].as_array().unwrap().len(), 20_001);
    let client = dhcpcd(&home.alice);
    let held = |sixgate: &Sixgate, wanted: &[&str]| {
        let leases = sixgate.leases();
        let bound =
            |text: &&str| leases.iter().any(|lease| lease["resource"] == **text && lease["state"] == "bound");
        wanted.iter().all(bound)
    };
    let wait = |sixgate: &Sixgate, wanted: &[&str]| {
        let what = wanted.join(" and ");
        home.gw
            .wait_for(&what, PATIENCE, || held(sixgate, wanted))
            .unwrap_or_else(|error| panic!("{error}\n{:?}\n{}", sixgate.leases(), client.output()));
    };
    wait(&sixgate, &["2001:db8:1::77", "2001:db8:7700::/48"]);
    assert_eq!(
        wait_in(&home.alice, "eth0", "2001:db8:1::/64".parse().unwrap()).to_string(),
        "2001:db8:1::77"
    );
    let name =
        sixgate.leases().iter().find(|l| l["resource"] == "2001:db8:1::77").unwrap()["hostname"].clone();
    assert_eq!(name, "laptop");
    let dig = output(&home.alice, "dig", &["+short", "@2001:db8:1::1", "laptop.home.arpa", "AAAA"]);
    assert_eq!(dig.trim(), "2001:db8:1::77");
    let route =
        || output(&home.gw, "ip", &["-6", "route", "show", "2001:db8:7700::/48"]).contains("via fe80");
    home.gw.wait_for("a route to the prefix", PATIENCE, route).unwrap();

    // A command that clashes with the file is refused; one that does not holds at once.
    let owner = "--subscriber-id";
    let (code, said) = run(&home.gw, &["reservation", "add", owner, "s7", "--address", "2001:db8:1::77"]);
    assert!(
        code == Some(1) && said.contains("reserved already") && said.contains("line 20002"),
        "{code:?} {said}"
    );
    let (code, said) = run(&home.gw, &["reservation", "add", owner, "s7", "--address", "fe80::1"]);
    assert!(code == Some(2) && said.contains("is for nobody"), "{code:?} {said}");
    let (code, said) = run(&home.gw, &["reservation", "remove", "--mac", &mac]);
    assert!(code == Some(1) && said.contains("take the line out"), "{code:?} {said}");
    output(&home.gw, SIXGATE, &["reservation", "add", owner, "s7", "--prefix", "2001:db8:100::/56"]);

    // The file is read again; the machine moves at its next message. A file with a mistake changes nothing.
    home.gw.write_file("/run/reservations.csv", format!("mac,address\n{mac},2001:db8:1::g\n")).unwrap();
    sixgate.process.signal(Signal::SIGHUP).unwrap();
    sixgate.process.wait_line("the old one stays", PATIENCE).unwrap();
    assert!(sixgate.log().contains("/run/reservations.csv:2:19"), "{}", sixgate.log());
    assert_eq!(list(&sixgate)["reservations"].as_array().unwrap().len(), 20_002);
    home.gw.write_file("/run/reservations.csv", format!("mac,address\n{mac},2001:db8:1::88\n")).unwrap();
    sixgate.process.signal(Signal::SIGHUP).unwrap();
    sixgate.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    client.signal(Signal::SIGUSR1).unwrap();
    wait(&sixgate, &["2001:db8:1::88"]);

    // What was added outlives a power failure of the program.
    sixgate.kill();
    let sixgate = Sixgate::start(&home.gw, LAN);
    let all = list(&sixgate);
    let rows = all["reservations"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{all}");
    let kept = rows.iter().find(|row| row["origin"] == "command").unwrap();
    assert_eq!(
        (&kept["owner"], &kept["resources"][0]),
        (&"subscriber-id s7".into(), &"2001:db8:100::/56".into())
    );
    output(&home.gw, SIXGATE, &["reservation", "remove", owner, "s7"]);
    assert_eq!(list(&sixgate)["reservations"].as_array().unwrap().len(), 1);
    let table = output(&home.gw, SIXGATE, &["reservation", "list"]);
    assert!(table.contains(&format!("mac {mac}")) && table.contains("2001:db8:1::88"), "{table}");
    client.stop(PATIENCE).unwrap();
    seen.assert_clean("udp.srcport == 547").unwrap();
    sixgate.stop();
}

/// What is leased to somebody else, shown and taken back.
#[test]
fn what_somebody_else_has_is_shown_and_taken_back() {
    let home = home("p-conflict");
    home.gw.write_file("/run/reservations.csv", "").unwrap();
    let sixgate = Sixgate::start(&home.gw, LAN);
    let client = dhcpcd(&home.alice);
    let lan = "2001:db8:1::/64".parse().unwrap();
    let first = wait_in(&home.alice, "eth0", lan).to_string();
    output(
        &home.gw,
        SIXGATE,
        &["reservation", "add", "--duid", "00:03:00:01:06:00:00:00:00:01", "--address", &first],
    );
    let shown = output(&home.gw, SIXGATE, &["reservation", "list"]);
    assert!(
        shown.contains(&format!("{first} is not free for duid 00:03:00:01:06:00:00:00:00:01 yet: bound")),
        "{shown}"
    );
    client.signal(Signal::SIGUSR1).unwrap();
    let moved = |address: std::net::Ipv6Addr| lan.contains(&address) && address.to_string() != first;
    home.alice
        .wait_address("eth0", moved, PATIENCE)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{:?}", client.output(), sixgate.leases()));
    let retired = |lease: &Value| lease["resource"] == *first && lease["state"] == "retired";
    assert!(sixgate.leases().iter().any(retired), "{:?}", sixgate.leases());
    client.stop(PATIENCE).unwrap();
    sixgate.stop();
}
