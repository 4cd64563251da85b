//! Kea is given the same data, and sends the same octets; tshark reads from ours what was written.

use crate::network::*;
use crate::probe::{Heard, Probe};
use sixgate_lab::{Command, Host, Lab, Link, root_for_tests};
use sixgate_wire::dhcpv6::OptionCode;

const OURS: &str = r#"
[[lan]]
interface = "lan0"
prefixes = ["2001:db8:1::/64"]
[dhcp.options]
sip-domains = ["sip.example.com", "sip.example.net"]
sip-servers = ["2001:db8::5060", "2001:db8::5061"]
nis-servers = ["2001:db8::9"]
nis-domain = "nis.example.com"
sntp-servers = ["2001:db8::123"]
posix-timezone = "CET-1CEST,M3.5.0,M10.5.0/3"
tzdb-timezone = "Europe/Zurich"
bootfile-url = "http://[2001:db8::80]/boot"
bootfile-parameters = ["root=/dev/nfs", "console=ttyS0"]
aftr-name = "aftr.example.com"
captive-portal = "https://portal.example/api"
sztp-redirect = ["https://boot.example.com/", "https://[2001:db8::1]:8443/"]
ntp-server = ["2001:db8::123", "ff05::101", "ntp.example.com"]
vendor-options = { enterprise = 4491, options = { 1 = { type = "text", value = "hello" }, 2 = { type = "addresses", value = ["2001:db8::1"] } } }
s46-priority = [96, 94]
pcp-servers = ["2001:db8::44"]
9999 = { type = ["u16", "address", "text"], value = [258, "2001:db8::7", "last"] }
9998 = { type = "u32", value = 16909060 }
[dhcp.options.s46-mape]
relays = ["2001:db8:ffff::1", "2001:db8:ffff::2"]
[[dhcp.options.s46-mape.rules]]
ipv4 = "192.0.2.0/24"
ipv6 = "2001:db8:ff00::/40"
ea-length = 16
forwarding = true
psid-offset = 4
psid-length = 8
psid = 171
[[dhcp.options.s46-mape.rules]]
ipv4 = "198.51.100.0/25"
ipv6 = "2001:db8:fe00::/41"
ea-length = 15
[dhcp.options.s46-mapt]
default-mapping = "2001:db8:64::/64"
rules = [{ ipv4 = "192.0.2.0/24", ipv6 = "2001:db8:ff00::/40", ea-length = 16, psid-offset = 4, psid-length = 8, psid = 171 }]
[dhcp.options.s46-lw4o6]
relays = ["2001:db8:ffff::1"]
ipv4 = "192.0.2.1"
ipv6 = "2001:db8:1:2::/64"
psid-offset = 0
psid-length = 6
psid = 33
[[dhcp.options.encrypted-dns]]
name = "dns.example.com"
addresses = ["2001:db8::53"]
alpn = ["dot", "h2"]
port = 853
dohpath = "/dns-query{?dns}"
"#;

/// What Kea 2.2 knows by itself, and what it is told the form of.
const KEA: &str = r#"{ "Dhcp6": {
 "interfaces-config": { "interfaces": [ "lan0" ] },
 "lease-database": { "type": "memfile", "persist": false },
 "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
 "option-def": [
  { "name": "sztp", "code": 136, "space": "dhcp6", "type": "tuple", "array": true },
  { "name": "priority", "code": 111, "space": "dhcp6", "type": "uint16", "array": true },
  { "name": "pcp", "code": 86, "space": "dhcp6", "type": "ipv6-address", "array": true },
  { "name": "own-record", "code": 9999, "space": "dhcp6", "type": "record", "record-types": "uint16, ipv6-address, string" },
  { "name": "own-number", "code": 9998, "space": "dhcp6", "type": "uint32" },
  { "name": "greeting", "code": 1, "space": "vendor-4491", "type": "string" },
  { "name": "servers", "code": 2, "space": "vendor-4491", "type": "ipv6-address", "array": true }
 ],
 "option-data": [
  { "name": "sip-server-dns", "data": "sip.example.com, sip.example.net" },
  { "name": "sip-server-addr", "data": "2001:db8::5060, 2001:db8::5061" },
  { "name": "nis-servers", "data": "2001:db8::9" },
  { "name": "nis-domain-name", "data": "nis.example.com" },
  { "name": "sntp-servers", "data": "2001:db8::123" },
  { "name": "new-posix-timezone", "data": "CET-1CEST\\,M3.5.0\\,M10.5.0/3" },
  { "name": "new-tzdb-timezone", "data": "Europe/Zurich" },
  { "name": "bootfile-url", "data": "http://[2001:db8::80]/boot" },
  { "name": "bootfile-param", "data": "root=/dev/nfs, console=ttyS0" },
  { "name": "aftr-name", "data": "aftr.example.com" },
  { "name": "v6-captive-portal", "data": "https://portal.example/api" },
  { "name": "sztp", "data": "https://boot.example.com/, https://[2001:db8::1]:8443/" },
  { "name": "priority", "data": "96, 94" },
  { "name": "pcp", "data": "2001:db8::44" },
  { "name": "own-record", "data": "258, 2001:db8::7, last" },
  { "name": "own-number", "data": "16909060" },
  { "name": "vendor-opts", "data": "4491", "always-send": true },
  { "name": "greeting", "space": "vendor-4491", "data": "hello", "always-send": true },
  { "name": "servers", "space": "vendor-4491", "data": "2001:db8::1", "always-send": true },
  { "name": "s46-cont-mape" },
  { "name": "s46-rule", "space": "s46-cont-mape-options", "data": "1, 16, 24, 192.0.2.0, 2001:db8:ff00::/40" },
  { "name": "s46-br", "space": "s46-cont-mape-options", "data": "2001:db8:ffff::1" },
  { "name": "s46-portparams", "space": "s46-rule-options", "data": "4, 171/8" },
  { "name": "s46-cont-mapt" },
  { "name": "s46-rule", "space": "s46-cont-mapt-options", "data": "0, 16, 24, 192.0.2.0, 2001:db8:ff00::/40" },
  { "name": "s46-dmr", "space": "s46-cont-mapt-options", "data": "2001:db8:64::/64" },
  { "name": "s46-cont-lw" },
  { "name": "s46-br", "space": "s46-cont-lw-options", "data": "2001:db8:ffff::1" },
  { "name": "s46-v4v6bind", "space": "s46-cont-lw-options", "data": "192.0.2.1, 2001:db8:1:2::/64" },
  { "name": "s46-portparams", "space": "s46-v4v6bind-options", "data": "0, 33/6" }
 ],
 "subnet6": [ { "id": 1, "subnet": "2001:db8:1::/64", "interface": "lan0" } ],
 "loggers": [ { "name": "kea-dhcp6", "severity": "INFO", "output_options": [ { "output": "stdout" } ] } ]
} }"#;

const CODES: [u16; 26] = [
    17, 21, 22, 27, 29, 31, 41, 42, 56, 59, 60, 64, 86, 94, 95, 96, 103, 111, 136, 144, 9998, 9999, 23, 24,
    82, 83,
];

fn codes() -> Vec<OptionCode> {
    CODES.into_iter().map(OptionCode).collect()
}

struct Pair {
    server: Host,
    client: Host,
    _lab: Lab,
}

fn pair(name: &str) -> Pair {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new(name).unwrap();
    let [server, client] = ["server", "client"].map(|name| lab.host(name).unwrap());
    lab.link(Link::between((&server, "lan0"), (&client, "eth0"))).unwrap();
    Pair { server, client, _lab: lab }
}

fn ask_kea() -> Heard {
    let pair = pair("p-kea");
    pair.server.add_address_nodad("lan0", net("2001:db8:1::1/64")).unwrap();
    pair.server.wait_link_local("lan0", PATIENCE).unwrap();
    pair.server.write_file("/run/kea.conf", KEA).unwrap();
    let command = Command::new("kea-dhcp6").args(["-c", "/run/kea.conf"]);
    let kea =
        pair.server.spawn(&command.env("KEA_PIDFILE_DIR", "/run").env("KEA_LOCKFILE_DIR", "/run")).unwrap();
    kea.wait_line("DHCP6_STARTED", PATIENCE).unwrap();
    let heard = Probe::new(&pair.client).inform(&codes());
    kea.stop(PATIENCE).unwrap();
    heard
}

#[test]
fn kea_sends_the_same_octets_and_tshark_reads_them() {
    let pair = pair("p-options");
    let seen = pair.client.capture("eth0").unwrap();
    let sixgate = Sixgate::start(&pair.server, OURS);
    let ours = Probe::new(&pair.client).inform(&codes());
    let theirs = ask_kea();

    // Kea can be told one rule and one relay of MAP-E, and port parameters that are those of every rule.
    let alone: Vec<u16> = vec![56, 94, 144];
    let mut compared = 0;
    for (code, contents) in &theirs {
        if !CODES.contains(&code.0) || [23, 24, 82, 83].contains(&code.0) || alone.contains(&code.0) {
            continue;
        }
        assert_eq!(ours.get(code), Some(contents), "option {}", code.0);
        compared += 1;
    }
    assert_eq!(compared, 19, "{theirs:?}");
    // What Kea has of MAP-E stands in ours, rule and relay.
    let (mape, keas) = (&ours[&OptionCode::S46_CONT_MAPE][0], &theirs[&OptionCode::S46_CONT_MAPE][0]);
    let (rule, relay) = keas.split_at(25);
    assert!(
        mape.starts_with(rule) && mape.windows(relay.len()).any(|part| part == relay),
        "{mape:?} {keas:?}"
    );

    let fields = [
        ("dhcpv6.ntpserver.addr", "2001:db8::123"),
        ("dhcpv6.ntpserver.mc_addr", "ff05::101"),
        ("dhcpv6.ntpserver.fqdn", "ntp.example.com."),
        ("dhcpv6.sip_server_a", "2001:db8::5060,2001:db8::5061"),
        ("dhcpv6.sntp_server", "2001:db8::123"),
        ("dhcpv6.nis_server", "2001:db8::9"),
        ("dhcpv6.timezone", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("dhcpv6.tzdb", "Europe/Zurich"),
        ("dhcpv6.aftr_name", "aftr.example.com."),
        ("dhcpv6.captive_portal", "https://portal.example/api"),
        ("dhcpv6.vendoropts.enterprise", "4491"),
        ("dhcpv6.s46_rule.flags.fmr", "1,0,0"),
        ("dhcpv6.s46_rule.ea_len", "16,15,16"),
        ("dhcpv6.s46_rule.ipv4_prefix", "192.0.2.0,198.51.100.0,192.0.2.0"),
        ("dhcpv6.s46_rule.ipv6_prefix_len", "40,41,40"),
        ("dhcpv6.s46_br.address", "2001:db8:ffff::1,2001:db8:ffff::1,2001:db8:ffff::2"),
        ("dhcpv6.s46_dmr.dmr_prefix", "2001:db8:64::"),
        ("dhcpv6.s46_v4v6bind.ipv4_address", "192.0.2.1"),
        ("dhcpv6.s46_portparam.offset", "0,4,4"),
        ("dhcpv6.s46_portparam.psid_len", "6,8,8"),
    ];
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let read = seen.wait_fields("dhcpv6.msgtype == 7", &names, 1, PATIENCE).unwrap();
    for ((name, expected), value) in fields.iter().zip(&read[0]) {
        assert_eq!(value, expected, "{name}");
    }
    seen.assert_clean("udp.srcport == 547").unwrap();
    sixgate.stop();
}
