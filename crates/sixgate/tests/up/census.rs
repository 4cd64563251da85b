//! Who could live without IPv4: clients that others wrote, told apart on one segment; what is kept of them, and what is not.

use crate::mistakes::run;
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{
    Command, Host, Lab, Link, Process, Signal, Transport, root_for_tests, wait_for, wait_some,
};
use std::net::Ipv6Addr;

/// The NAT64's: the well-known prefix does not stand for addresses of documentation (RFC 6052 section 3.1).
const PREFIX: &str = "2001:db8:64::/96";
/// 198.51.100.10 in it.
const LITERAL: &str = "2001:db8:64::c633:640a";
/// 203.0.113.80 in it: that of v4only.example.
const BY_NAME: &str = "2001:db8:64::cb00:7150";

/// An ISP, a gateway, and on one segment a laptop that can do without IPv4, a phone that has none, and a printer that has nothing
/// else.
struct Segment {
    isp: Host,
    gw: Host,
    laptop: Host,
    phone: Host,
    printer: Host,
    _dnsmasq: Process,
    lab: Lab,
}

fn segment(name: &str) -> Segment {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new(name).unwrap();
    let (isp, gw) = (lab.router("isp").unwrap(), lab.host("gw").unwrap());
    let hosts = ["laptop", "phone", "printer"].map(|name| lab.host(name).unwrap());
    let [laptop, phone, printer] = hosts;
    lab.link(Link::between((&isp, "cust0"), (&gw, "wan0"))).unwrap();
    let lan = lab.segment("lan").unwrap();
    lan.attach(&gw, "lan0").unwrap();
    for host in [&laptop, &phone, &printer] {
        lan.attach(host, "eth0").unwrap();
    }
    printer.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
    isp.add_address_nodad("cust0", net(&format!("{ISP}/64"))).unwrap();
    gw.set_accept_ra("wan0", sixgate_lab::AcceptRa::Never).unwrap();
    let arguments = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file",
        "--local=/example/",
        "--local-ttl=60",
        "--host-record=v4only.example,203.0.113.80",
        "--host-record=both.example,203.0.113.81,2001:db8:f::81",
        "--host-record=connectivitycheck.gstatic.com,2001:db8:f::82",
        "--port=5300",
        "--bind-interfaces",
        "--listen-address=2001:db8:0:1::1",
        "--user=root",
    ];
    let dnsmasq = isp.spawn(&Command::new("dnsmasq").args(arguments)).unwrap();
    isp.wait_for("dnsmasq's socket", PATIENCE, || isp.listening(Transport::Udp, 5300)).unwrap();
    Segment { isp, gw, laptop, phone, printer, _dnsmasq: dnsmasq, lab }
}

fn config(census: &str) -> String {
    format!(
        "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\naddresses = false\nipv4 = \"192.168.7.1/24\"\n\
         pref64 = \"{PREFIX}\"\n[dns]\ndns64 = \"{PREFIX}\"\nupstreams = [\"[{ISP}]:5300\"]\n{census}"
    )
}

fn mac(host: &Host) -> String {
    host.read_file("/sys/class/net/eth0/address")
        .unwrap_or_else(|_| output(host, "cat", &["/sys/class/net/eth0/address"]))
        .trim()
        .to_owned()
}

fn census(gateway: &Sixgate) -> Value {
    // Of many clients it is longer than what is kept of a program's output.
    output(&gateway.host, "sh", &["-c", &format!("{SIXGATE} census --json > /run/census.json")]);
    let text = gateway.host.read_file("/run/census.json").unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:.2000}"))
}

/// Waits until some client is as wanted.
fn wait_client(gateway: &Sixgate, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let look = || census(gateway)["clients"].as_array()?.iter().find(|client| is(client)).cloned();
    wait_some(what, PATIENCE, look, || format!("{:#}\n{}", census(gateway), gateway.log()))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn needs(client: &Value, kind: &str) -> bool {
    client["needs"].as_array().is_some_and(|needs| needs.iter().any(|need| need["kind"] == kind))
}

/// udhcpc with a script that does what it is told.
fn udhcpc(segment: &Segment) -> Process {
    let script = segment.lab.folder().join("udhcpc.sh");
    let text = "#!/bin/sh\ncase $1 in\nbound | renew) ip addr replace $ip/$mask dev $interface; ip route replace default via 192.168.7.1 ;;\n\
                deconfig) ip -4 addr flush dev $interface ;;\nesac\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let udhcpc =
        Command::new("udhcpc").args(["-f", "-i", "eth0", "-x", "hostname:printer-of-anna", "-t", "20", "-s"]);
    segment.printer.spawn(&udhcpc.arg(&script)).unwrap()
}

fn dhcpcd(host: &Host) -> Process {
    let text = "duid\nhostname annas-laptop\nnohook resolv.conf\nnoipv6\nnoipv4ll\nnodelay\nnoarp\noption ipv6_only_preferred\n";
    host.write_file("/run/dhcpcd.conf", text).unwrap();
    let arguments = ["-4", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"];
    host.spawn(&Command::new("dhcpcd").args(arguments)).unwrap()
}

/// A connection is asked for; nobody has to answer.
fn connect(host: &Host, to: &str) {
    let script = "import socket,sys\ns=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)\n\
                  s.settimeout(0.2)\ntry: s.connect((sys.argv[1],80))\nexcept OSError: pass\n";
    output(host, "python3", &["-c", script, to]);
}

fn ask(host: &Host, server: Ipv6Addr, name: &str, kind: &str) -> String {
    output(host, "dig", &["+short", "+time=5", "+tries=2", &format!("@{server}"), name, kind])
}

/// Which of these words the files of the state folder hold, also as the octets of a hardware address.
fn found_on_disk(gw: &Host, words: &[&str]) -> String {
    let script = "import glob,sys\nfor f in glob.glob('/run/sixgate/state/*'):\n d=open(f,'rb').read().lower()\n for w in sys.argv[1:]:\n  \
                  o=[w.encode(),w.replace(':','').encode()]+([bytes.fromhex(w.replace(':',''))] if w.count(':')==5 else [])\n  \
                  if any(x in d for x in o): print(w,'in',f)\n";
    output(gw, "python3", &[&["-c", script], words].concat())
}

#[test]
fn clients_are_told_apart_and_known_again_after_a_kill() {
    let segment = segment("census");
    let isp = Sixgate::start(&segment.isp, &isp_config());
    let on_the_wire = segment.printer.capture("eth0").unwrap();
    let gateway = Sixgate::start(&segment.gw, &config("[census]\n"));
    gateway.wait_delegated();
    let lan = gateway.wait_lan_prefix(0);
    let server = Ipv6Addr::from(u128::from(lan.network()) | 1);
    for host in [&segment.phone, &segment.laptop] {
        wait_in(host, "eth0", lan);
        output(host, "ping", &["-c", "1", "-W", "5", &server.to_string()]);
    }
    let macs = [&segment.laptop, &segment.phone, &segment.printer].map(mac);

    // Asks for option 108 and is told.
    let laptop = dhcpcd(&segment.laptop);
    laptop.wait_line("IPv6-Only Preferred received", PATIENCE).unwrap();
    let client =
        wait_client(&gateway, "the laptop", |client| client["asks_108"] == true && !client["told"].is_null());
    assert_eq!((&client["family"], &client["ready"]), (&Value::from("Linux"), &Value::from(false)));

    // IPv6 alone, names of all kinds, and a NAT64 by name: nothing needed IPv4.
    assert_eq!(ask(&segment.phone, server, "both.example", "AAAA").trim(), "2001:db8:f::81");
    assert_eq!(ask(&segment.phone, server, "v4only.example", "AAAA").trim(), BY_NAME);
    ask(&segment.phone, server, "connectivitycheck.gstatic.com", "AAAA");
    ask(&segment.phone, server, "ipv4only.arpa", "AAAA");
    connect(&segment.phone, BY_NAME);
    let phone = wait_client(&gateway, "the phone", |client| client["family"] == "Android");
    assert_eq!(
        (&phone["stage"], &phone["discovers_nat64"]),
        (&"needs no IPv4".into(), &true.into()),
        "{phone:#}"
    );
    assert_eq!(phone["needs"], Value::Array(Vec::new()));

    // IPv4 alone: an address by number, a neighbour, a name that it asks for by A.
    let printer = udhcpc(&segment);
    let has = || !output(&segment.printer, "ip", &["-4", "route", "show", "default"]).is_empty();
    wait_for("the printer has a default route", PATIENCE, has)
        .unwrap_or_else(|error| panic!("{error}: {}", printer.output()));
    connect(&segment.printer, "198.51.100.10");
    connect(&segment.printer, "192.168.7.99");
    output(
        &segment.printer,
        "dig",
        &["+short", "+time=5", "+tries=2", "@192.168.7.1", "v4only.example", "A"],
    );
    connect(&segment.printer, "203.0.113.80");
    let old = wait_client(&gateway, "the printer", |client| {
        ["address", "neighbour", "name-asked-by-ipv4"].iter().all(|kind| needs(client, kind))
    });
    assert_eq!((&old["family"], &old["stage"]), (&"embedded".into(), &"no IPv6".into()), "{old:#}");
    assert_eq!(old["score"]["low"], 0.0);

    // Its ARP, as tshark counts it.
    let sent = || {
        on_the_wire.fields(&format!("arp && eth.src == {}", macs[2]), &["frame.number"]).unwrap().len() as u64
    };
    let id = old["id"].clone();
    let counted = || {
        wait_client(&gateway, "the printer", |client| client["id"] == id)["arp"]["total"].as_u64().unwrap()
    };
    wait_for("as much ARP as tshark counts", PATIENCE, || sent() == counted() && sent() > 0)
        .unwrap_or_else(|error| panic!("{error}: {} on the wire, {} counted", sent(), counted()));

    // An address that nobody told it, through the NAT64: it translates itself.
    connect(&segment.phone, LITERAL);
    let phone = wait_client(&gateway, "translation", |client| client["stage"] == "translates itself");
    assert_eq!(phone["family"], "Android");
    let all = census(&gateway);
    assert_eq!(all["report"]["ready"]["of"], 3, "{all:#}");
    assert_eq!(
        all["clients"].as_array().unwrap().iter().filter(|client| client["randomised"] == true).count(),
        3
    );

    // Of who they are nothing is told, and of those that hold no lease nothing is on disk.
    let text = all.to_string();
    for secret in macs.iter().map(String::as_str).chain(["anna", "198.51.100.10", "v4only"]) {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    // Everything new is on disk within seconds.
    let records = || {
        let query =
            "select group_concat(cast(value as text), '|') from setting where key like 'census.client.%'";
        output(&segment.gw, "sqlite3", &["-readonly", "/run/sixgate/state/leases.db", query])
    };
    let written = || {
        let records = records();
        [
            "translates",
            "need address",
            "need neighbour",
            "need name-asked-by-ipv4",
            "without",
            "family Android",
        ]
        .iter()
        .all(|word| records.contains(word))
    };
    wait_for("the records", PATIENCE, written).unwrap_or_else(|error| panic!("{error}: {}", records()));
    let on_disk =
        found_on_disk(&segment.gw, &[&macs[0], &macs[1], "annas-laptop", "198.51.100.10", "v4only"]);
    assert_eq!(on_disk, "");

    gateway.kill();
    let gateway = Sixgate::start(&segment.gw, &config("[census]\n"));
    let known = |census: &Value| -> Vec<[Value; 6]> {
        let pick = |client: &Value| {
            ["id", "family", "stage", "asks_108", "first", "discovers_nat64"].map(|key| client[key].clone())
        };
        let mut all: Vec<_> = census["clients"].as_array().unwrap().iter().map(pick).collect();
        all.sort_by_key(|client| client[0].to_string());
        all
    };
    let again = census(&gateway);
    assert_eq!(known(&again), known(&all));
    assert_eq!(again["days"].as_array().unwrap().len(), 1, "{again:#}");
    // What was told before the kill is not known any more: nothing is made of an address that the phone knows from then.
    gateway.wait_lan_prefix(0);

    run(&segment.gw, SIXGATE, &["census"]).expect(
        0,
        &[
            "of 3 clients could live without IPv4 today",
            "translates itself",
            "embedded *",
            "10 %:",
            "ask for option 108: 1 of 3",
        ],
    );
    run(&segment.gw, SIXGATE, &["census", "--html", "/run/census.html"]).expect(0, &[]);
    assert!(segment.gw.read_file("/run/census.html").unwrap().contains("</html>"));
    laptop.stop(PATIENCE).unwrap();
    printer.stop(PATIENCE).unwrap();
    gateway.stop();
    isp.stop();
}

#[test]
fn names_are_kept_while_they_may_be_and_forgotten_on_disk_too() {
    let segment = segment("census-names");
    let isp = Sixgate::start(&segment.isp, &isp_config());
    let named = config("[census]\nprivacy = \"named\"\n");
    let gateway = Sixgate::start(&segment.gw, &named);
    gateway.wait_delegated();
    let lan = gateway.wait_lan_prefix(0);
    let server = Ipv6Addr::from(u128::from(lan.network()) | 1);
    wait_in(&segment.phone, "eth0", lan);
    let mac = mac(&segment.phone);
    // A name by IPv4 alone, and then over IPv4, as a program does that knows nothing else.
    output(&segment.phone, "ip", &["addr", "add", "192.168.7.7/24", "dev", "eth0"]);
    output(&segment.phone, "ip", &["route", "add", "default", "via", "192.168.7.1"]);
    ask(&segment.phone, server, "v4only.example", "A");
    connect(&segment.phone, "203.0.113.80");
    let client = wait_client(&gateway, "the need", |client| needs(client, "name-asked-by-ipv4"));
    assert!(gateway.status()["listeners"].to_string().contains("a look at frames on lan0"));
    assert_eq!(client["link_layer"], mac.as_str());
    assert_eq!(client["needs"][0]["what"], "v4only.example");
    assert_eq!(census(&gateway)["needs"][0]["what"], "v4only.example");
    // Other hosts make themselves known by themselves: of this one alone it is said what is on disk.
    let words = [mac.as_str(), "v4only"];
    let found = || found_on_disk(&segment.gw, &words);
    wait_for("the record", PATIENCE, || found().contains(&mac) && found().contains("v4only")).unwrap();

    // A switch while it runs: gone from what is told, and from the files.
    let reload = |gateway: &Sixgate, text: &str| {
        write_config(&segment.gw, text);
        gateway.process.signal(Signal::SIGHUP).unwrap();
    };
    let hashed = config("[census]\nprivacy = \"hashed\"\nretention = \"1h\"\n");
    let gone = |what: &str| {
        wait_for(what, PATIENCE, || found().is_empty()).unwrap_or_else(|e| panic!("{e}: {}", found()));
    };
    reload(&gateway, &hashed);
    wait_for("hashed", PATIENCE, || census(&gateway)["privacy"] == "hashed").unwrap();
    let all = census(&gateway);
    assert!(!all.to_string().contains(&mac) && !all.to_string().contains("v4only"), "{all:#}");
    assert_eq!(all["retention"], 3_600);
    gone("nothing of it on disk");

    // A switch while it does not run, after a kill that left all of it in the log.
    reload(&gateway, &named);
    wait_for("named", PATIENCE, || census(&gateway)["privacy"] == "named").unwrap();
    connect(&segment.phone, "203.0.113.80");
    wait_for("the record again", PATIENCE, || found().contains(&mac) && found().contains("v4only")).unwrap();
    gateway.kill();
    let gateway = Sixgate::start(&segment.gw, &hashed);
    gone("nothing of it on disk after a restart");

    // By its hardware address, which only its owner and the asker have.
    let count = || census(&gateway)["clients"].as_array().unwrap().len();
    run(&segment.gw, SIXGATE, &["census", "--forget", "02:00:00:00:00:99"]).expect(1, &["knows no client"]);
    output(&segment.phone, "ip", &["link", "set", "eth0", "down"]);
    run(&segment.gw, SIXGATE, &["census", "--forget", &mac]).expect(0, &["forgotten: 1 client"]);
    let id = client["id"].as_str().unwrap().to_owned();
    assert!(!census(&gateway).to_string().contains(&id));
    run(&segment.gw, SIXGATE, &["census", "--forget", "all"]).expect(0, &[]);
    let before = count();
    assert!(before <= 2, "{before} clients are back");

    // Switched off, nothing of it stays; on again takes a restart.
    reload(&gateway, &config(""));
    let kept = || {
        let query = "select count(*) from setting where key like 'census.%'";
        output(&segment.gw, "sqlite3", &["-readonly", "/run/sixgate/state/leases.db", query])
    };
    wait_for("no record", PATIENCE, || kept().trim() == "0").unwrap();
    assert!(!gateway.status()["listeners"].to_string().contains("a look at"));
    run(&segment.gw, SIXGATE, &["census"]).expect(1, &["there is no census", "[census]"]);
    reload(&gateway, &named);
    gateway.wait_status("the problem", |status| {
        let problems = status["problems"].as_array()?;
        let named = |problem: &Value| {
            problem.as_str().is_some_and(|text| text.contains("census.enabled, which needs a restart"))
        };
        problems.iter().any(named).then_some(())
    });
    gateway.stop();
    isp.stop();
}

/// ARP from invented hosts, as fast as Python can.
const FLOOD: &str = r"
import os, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0x0806))
for n in range(int(sys.argv[1])):
    mac = b'\x02' + n.to_bytes(5, 'big')
    arp = b'\0\1\x08\0\6\4\0\1' + mac + bytes([10, 9]) + n.to_bytes(4, 'big')[2:] + b'\0' * 6 + bytes([10, 9, 9]) + mac[-1:]
    try: s.send(b'\xff' * 6 + mac + b'\x08\x06' + arp + b'\0' * 18)
    except OSError: pass
print('sent')
";

#[test]
fn a_flood_of_invented_hosts_is_bounded_and_counted() {
    let segment = segment("census-flood");
    let isp = Sixgate::start(&segment.isp, &isp_config());
    let gateway = Sixgate::start(&segment.gw, &config("[census]\n"));
    gateway.wait_delegated();
    let lan = gateway.wait_lan_prefix(0);
    let server = Ipv6Addr::from(u128::from(lan.network()) | 1);
    wait_in(&segment.phone, "eth0", lan);
    let sent: u64 = 40_000;
    let flood =
        segment.laptop.spawn(&Command::new("python3").args(["-c", FLOOD, &sent.to_string()])).unwrap();
    // Others are served meanwhile.
    assert_eq!(ask(&segment.phone, server, "both.example", "AAAA").trim(), "2001:db8:f::81");
    flood.wait(PATIENCE * 2).unwrap();
    let counted = |name: &str| census(&gateway)["counters"][name].as_u64().unwrap();
    wait_for("all of it seen or lost", PATIENCE * 2, || counted("frames") + counted("frames-lost") >= sent)
        .unwrap();
    let all = census(&gateway);
    let clients = all["clients"].as_array().unwrap().len() as u64;
    assert!(clients <= 8_192, "{clients}");
    assert!(counted("frames") < 8_192 || counted("clients-evicted") > 0, "{}", all["counters"]);
    let problems = gateway.status()["problems"].to_string();
    assert!(!problems.contains("census") && !problems.contains("store"), "{problems}");
    gateway.stop();
    isp.stop();
}
