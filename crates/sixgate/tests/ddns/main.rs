//! Names of leases in the zones of a DNS server. No stock server that takes updates is among the tests' peers; so `server.py` is
//! written from the RFCs for this test, and BIND's `nsupdate` and `dig`, which know it as they know any server, stand witness for
//! it: what they sign it verifies, and what it signs they do. tshark reads what we send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, reason = "shared with the tests of `up`")]
#[path = "../up/network.rs"]
mod network;
mod v4;

use network::*;
use sixgate_lab::{Command, Host, Lab, Link, Process, Signal, root_for_tests, wait_some};

const SECRET: &str = "VGhlIHRlc3RzJyBzZWNyZXQgb2YgMzIgb2N0ZXRzLi4=";
const ZONE: &str = "hosts.example.org";
const REVERSE: &str = "1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
/// The DNS server's address, and ours on the link to it.
const DNS: &str = "2001:db8:53::53";
const OURS: &str = "2001:db8:53::1";

struct Stage {
    gw: Host,
    dns: Host,
    alice: Host,
    bob: Host,
    /// Last: what runs in it ends with it.
    _lab: Lab,
}

impl Stage {
    fn new(name: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [gw, dns, alice, bob] = ["gw", "dns", "alice", "bob"].map(|name| lab.host(name).unwrap());
        let lan = lab.segment("lan").unwrap();
        lan.attach(&gw, "lan0").unwrap();
        for host in [&alice, &bob] {
            lan.attach(host, "eth0").unwrap();
        }
        lab.link(Link::between((&gw, "dns0"), (&dns, "eth0"))).unwrap();
        gw.add_address_nodad("dns0", net(&format!("{OURS}/64"))).unwrap();
        dns.add_address_nodad("eth0", net(&format!("{DNS}/64"))).unwrap();
        alice.wait_link_local("eth0", PATIENCE).unwrap();
        let key = |secret: &str| {
            format!("key \"sixgate\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{secret}\";\n}};\n")
        };
        gw.write_file("/etc/sixgate.key", key(SECRET)).unwrap();
        dns.write_file("/etc/sixgate.key", key(SECRET)).unwrap();
        dns.write_file("/etc/server.py", include_str!("server.py")).unwrap();
        Self { gw, dns, alice, bob, _lab: lab }
    }

    fn serve(&self, secret: &str) -> Process {
        self.serve_zones(secret, &[ZONE, REVERSE])
    }

    fn serve_zones(&self, secret: &str, zones: &[&str]) -> Process {
        let command = Command::new("python3").args(["/etc/server.py", "sixgate", secret, "/run/zones.json"]);
        let server = self.dns.spawn(&command.args(zones)).unwrap();
        server.wait_line("serving", PATIENCE).unwrap();
        server
    }

    fn config() -> String {
        format!(
            "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nslaac = false\ndelegate = false\n\
             [dns]\nenabled = false\n\
             [ddns]\nzone = \"{ZONE}\"\nreverse = [\"2001:db8:1::/48\"]\nserver = \"{DNS}\"\nkey-file = \"/etc/sixgate.key\"\n"
        )
    }

    /// What the server's zones say, by `dig`.
    fn dig(&self, arguments: &[&str]) -> String {
        let server = format!("@{DNS}");
        let said = output(&self.dns, "dig", &[&[server.as_str(), "+short", "+norec"], arguments].concat());
        said.trim().to_owned()
    }

    fn dhclient(&self, how: &str) -> Process {
        let conf = "send fqdn.fqdn \"alice\";\nsend fqdn.server-update on;\nsend fqdn.encoded on;\nalso request dhcp6.fqdn;\n";
        self.alice.write_file("/run/dhclient.conf", conf).unwrap();
        if how == "-d" {
            self.alice.write_file("/run/dhclient.leases", "").unwrap();
        }
        let files = ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
        let arguments = [&["-6", "-N", "-v", how][..], &files, &["eth0"]].concat();
        self.alice.spawn(&Command::new("dhclient").args(arguments)).unwrap()
    }

    fn wait(&self, what: &str, sixgate: &Sixgate, mut condition: impl FnMut(&Self) -> bool) {
        let state = || format!("{}\n{}", sixgate.status(), sixgate.log());
        let look = || condition(self).then_some(());
        wait_some(what, PATIENCE, look, state).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_lease_has_its_name_until_it_ends_even_if_the_dns_server_is_down_then() {
    let stage = Stage::new("ddns");
    let seen = stage.gw.capture("dns0").unwrap();
    let server = stage.serve(SECRET);
    // nsupdate signs what the server verifies, and verifies what the server signs; it puts a name there by hand.
    let by_hand =
        format!("server {DNS}\nzone {ZONE}\nupdate add printer.{ZONE} 60 AAAA 2001:db8:1::9\nsend\n");
    stage.dns.write_file("/run/update", by_hand).unwrap();
    output(&stage.dns, "nsupdate", &["-k", "/etc/sixgate.key", "/run/update"]);
    assert_eq!(stage.dig(&["AAAA", &format!("printer.{ZONE}")]), "2001:db8:1::9");

    let sixgate = Sixgate::start(&stage.gw, &Stage::config());
    let client = stage.dhclient("-d");
    let name = format!("alice.{ZONE}");
    stage.wait("a name", &sixgate, |stage| !stage.dig(&["AAAA", &name]).is_empty());
    let leases = sixgate.leases();
    let address = leases[0]["resource"].as_str().unwrap();
    assert_eq!(stage.dig(&["AAAA", &name]), address);
    stage.wait("a reverse name", &sixgate, |stage| stage.dig(&["-x", address]) == format!("{name}."));
    // What the client was told: the server updates, and its whole name.
    assert!(client.output().contains("dhclient") || !client.output().is_empty());
    let told = stage.alice.read_file("/run/dhclient.leases").unwrap();
    assert!(told.contains(&format!("fqdn.fqdn \"{name}")) || told.contains(&name), "{told}");
    let status = sixgate.wait_status("settled", |status| {
        (status["ddns"]["names"] == 1 && status["ddns"]["pending"] == 0).then(|| status.clone())
    });
    assert_eq!(
        (&status["ddns"]["signed"], &status["ddns"]["trouble"]),
        (&true.into(), &serde_json::Value::Null)
    );
    let table = output(&stage.gw, SIXGATE, &["status"]);
    assert!(table.contains(&format!("ddns {ZONE} at {DNS} (signed) names 1 pending 0")), "{table}");

    // The DNS server goes; the lease ends; so do we. In the end the name is gone nevertheless.
    server.signal(Signal::SIGKILL).unwrap();
    server.wait(PATIENCE).unwrap();
    stage.dhclient("-r").wait(PATIENCE).unwrap();
    client.wait(PATIENCE).unwrap();
    sixgate.wait_status("a problem that says so", |status| {
        let problems = status["problems"].as_array()?;
        problems
            .iter()
            .any(|told| told.as_str().is_some_and(|told| told.contains("it does not answer")))
            .then_some(())
    });
    assert!(sixgate.leases().is_empty());
    sixgate.kill();
    let sixgate = Sixgate::start(&stage.gw, &Stage::config());
    let _server = stage.serve(SECRET);
    stage.wait("no name", &sixgate, |stage| stage.dig(&["AAAA", &name]).is_empty());
    stage.wait("no reverse name", &sixgate, |stage| stage.dig(&["-x", address]).is_empty());
    let state = stage.dns.read_file("/run/zones.json").unwrap();
    assert!(!state.contains("alice") && state.contains("printer"), "what a person wrote stays: {state}");
    sixgate.wait_status("nothing pending", |status| (status["ddns"]["pending"] == 0).then_some(()));
    seen.stop().unwrap();
    seen.assert_clean("dns").unwrap();
    // tshark finds our signature where it belongs: type 250, of class ANY, in each update and in no other place.
    let ours = format!("dns.flags.opcode == 5 && ipv6.src == {OURS} && !(dns.resp.type == 250)");
    assert!(seen.fields(&ours, &["frame.number"]).unwrap().is_empty());
}

#[test]
fn a_wrong_key_changes_nothing_and_is_told() {
    let stage = Stage::new("ddns-key");
    let server = stage.serve("QW5vdGhlciBzZWNyZXQgb2YgMzIgb2N0ZXRzISEhISE=");
    let sixgate = Sixgate::start(&stage.gw, &Stage::config());
    let client = stage.dhclient("-d");
    server.wait_line("refused: BADSIG", PATIENCE).unwrap();
    sixgate.wait_status("a problem that says so", |status| {
        let problems = status["problems"].as_array()?;
        problems.iter().any(|told| told.as_str().is_some_and(|told| told.contains("BADSIG"))).then_some(())
    });
    assert!(stage.dig(&["AAAA", &format!("alice.{ZONE}")]).is_empty());
    client.kill().unwrap();
}
