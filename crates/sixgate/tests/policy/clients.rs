//! Stock clients take what they are told, members of a class and others; who is denied hears nothing.

use crate::network::*;
use crate::probe::Probe;
use sixgate_lab::{Command, Host, Process, wait_some};
use sixgate_wire::dhcpv6::{Builder, Duid, MessageType, OptionCode};
use std::time::Duration;

const CONFIG: &str = r#"
[[lan]]
interface = "lan0"
prefixes = ["2001:db8:1::/64"]
slaac = false
options = { sntp-servers = ["2001:db8::1"], tzdb-timezone = "Europe/Zurich" }
deny = ["banned"]
[[lan.pool]]
prefix = "2001:db8:1::1000/116"
class = "phones"
[[lan]]
interface = "lan1"
prefixes = ["2001:db8:2::/64"]
[dhcp.options]
sip-servers = ["2001:db8::5060"]
ntp-server = ["2001:db8::123"]
9999 = { type = "text", value = "from-the-table" }
[[dhcp.class]]
name = "phones"
match = { user-class = "phone" }
options = { tzdb-timezone = "Asia/Tokyo", aftr-name = "aftr.example.com" }
[[dhcp.class]]
name = "banned"
match = { duid = "00:03:00:01:02:00:00:00:00:66" }
"#;

/// A script that writes what it was called with, and does nothing.
const SCRIPT: &str = "#!/bin/sh\nenv >> /run/told\nexit 0\n";

fn dhclient(host: &Host, config: &str) -> Process {
    host.wait_link_local("eth0", PATIENCE).unwrap();
    host.write_file("/run/dhclient.conf", config).unwrap();
    host.write_file("/run/dhclient.leases", "").unwrap();
    host.write_file("/run/script", SCRIPT).unwrap();
    output(host, "chmod", &["+x", "/run/script"]);
    let arguments = "-6 -N -d -v -cf /run/dhclient.conf -lf /run/dhclient.leases -pf /run/dhclient.pid -sf /run/script eth0";
    host.spawn(&Command::new("dhclient").args(arguments.split(' '))).unwrap()
}

fn told(host: &Host, file: &str, word: &str) -> String {
    let look = || host.read_file(file).ok().filter(|text| text.contains(word));
    wait_some(word, PATIENCE, look, || host.read_file(file).unwrap_or_default()).unwrap()
}

#[test]
fn dhclient_and_dibbler_take_what_their_class_is_told() {
    let home = home("p-clients");
    let seen = home.gw.capture("lan0").unwrap();
    let sixgate = Sixgate::start(&home.gw, CONFIG);
    // Definitions of its own for what it does not know.
    let config = "option dhcp6.tz code 42 = text;\noption dhcp6.aftr code 64 = domain-list;\n\
                  option dhcp6.own code 9999 = text;\noption dhcp6.classes code 15 = string;\nsend dhcp6.classes 00:05:70:68:6f:6e:65;\n\
                  also request dhcp6.tz, dhcp6.aftr, dhcp6.own, dhcp6.sip-servers-addresses, dhcp6.sntp-servers;\n";
    let client = dhclient(&home.alice, config);
    let heard = told(&home.alice, "/run/told", "new_ip6_address");
    for line in [
        "new_dhcp6_tz=Asia/Tokyo",
        "new_dhcp6_aftr=aftr.example.com.",
        "new_dhcp6_own=from-the-table",
        "new_dhcp6_sip_servers_addresses=2001:db8::5060",
        "new_dhcp6_sntp_servers=2001:db8::1",
    ] {
        assert!(heard.contains(line), "{line} is missing:\n{heard}");
    }
    let address = heard.lines().find_map(|line| line.strip_prefix("new_ip6_address=")).unwrap();
    let part: ipnet::Ipv6Net = "2001:db8:1::1000/116".parse().unwrap();
    assert!(part.contains(&address.parse::<std::net::Ipv6Addr>().unwrap()), "{address}");
    client.stop(PATIENCE).unwrap();

    // Another client, of no class, on another LAN: dibbler.
    home.bob.wait_link_local("eth0", PATIENCE).unwrap();
    let config = "log-mode short\nlog-level 8\niface \"eth0\" {\n ia\n option sip-server\n option ntp-server\n option time-zone\n}\n";
    home.bob.write_file("/run/dibbler/client.conf", config).unwrap();
    let dibbler =
        home.bob.spawn(&Command::new("dibbler-client").args(["run", "-w", "/run/dibbler"])).unwrap();
    let on_bob =
        |kind: &str| sixgate.leases().iter().any(|lease| lease["lan"] == "lan1" && lease["state"] == kind);
    home.gw.wait_for("dibbler's lease", PATIENCE, || on_bob("bound")).unwrap();
    dibbler.wait_line("2001:db8::5060", PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", dibbler.output()));
    dibbler.stop(PATIENCE).unwrap();
    seen.assert_clean("udp.srcport == 547").unwrap();
    sixgate.stop();
}

#[test]
fn who_is_denied_hears_nothing_and_the_rule_counts() {
    let home = home("p-denied");
    let seen = home.gw.capture("lan0").unwrap();
    let sixgate = Sixgate::start(&home.gw, CONFIG);
    let mut probe = Probe::new(&home.alice);
    let solicit = |last: u8| {
        move |b: &mut Builder<'_>| {
            b.client_id(&Duid::link_layer([2, 0, 0, 0, 0, last])).ia_na(1, 0, 0, |_| ());
        }
    };
    let ask =
        |probe: &mut Probe, last| probe.ask(MessageType::SOLICIT, solicit(last), Duration::from_millis(300));
    // Once somebody else is answered, silence means something.
    let answered = || ask(&mut probe, 0x11);
    wait_some("an answer", PATIENCE, answered, String::new).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut probe, 0x66), None);
    }
    let inform = |b: &mut Builder<'_>| {
        b.client_id(&Duid::link_layer([2, 0, 0, 0, 0, 0x66])).oro(&[OptionCode::SIP_SERVER_A]);
    };
    assert_eq!(probe.ask(MessageType::INFORMATION_REQUEST, inform, Duration::from_millis(300)), None);
    let status = sixgate.status();
    assert_eq!(status["policy"]["denied"]["lan0: deny banned"], 4, "{status}");
    assert_eq!(status["dhcp"]["discarded-denied"], 4);
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains("lan0: deny banned: 4 messages not answered"), "{table}");
    let to_it = "udp.srcport == 547 && dhcpv6.duidll.link_layer_addr == 02:00:00:00:00:66";
    assert!(seen.fields(to_it, &["frame.number"]).unwrap().is_empty());
    // Taken off the list, it is served.
    write_config(&home.gw, &CONFIG.replace("deny = [\"banned\"]\n", ""));
    sixgate.process.signal(sixgate_lab::Signal::SIGHUP).unwrap();
    sixgate.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    let answered = || ask(&mut probe, 0x66);
    wait_some("an answer", PATIENCE, answered, String::new).unwrap();
    sixgate.stop();
}
