//! Each family by itself: IPv6 that is broken shows, although IPv4 hides it from everybody else.

use crate::mistakes::{run, shell};
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Command, Host, Transport, wait_some};

/// IPv4 between the ISP and the gateway, which something else set up.
fn with_ipv4(home: &Home) {
    home.isp.add_address("cust0", "198.51.100.2/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
    home.gw.add_address("wan0", "198.51.100.1/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let default: ipnet::IpNet = "0.0.0.0/0".parse().unwrap();
    home.gw.add_route(default, Some("198.51.100.2".parse().unwrap()), "wan0").unwrap();
}

/// A resolver of the ISP that knows a name with both families.
fn resolver(isp: &Host) -> sixgate_lab::Process {
    let dnsmasq =
        ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"];
    let records = ["--local=/example/", "--host-record=www.example,198.51.100.2,2001:db8:f::80"];
    let listen = ["--port=5300", "--bind-interfaces", "--listen-address=2001:db8:0:1::1", "--user=root"];
    let arguments = [&dnsmasq[..], &records, &listen].concat();
    let process = isp.spawn(&Command::new("dnsmasq").args(arguments)).unwrap();
    isp.wait_for("dnsmasq's socket", PATIENCE, || isp.listening(Transport::Udp, 5300)).unwrap();
    process
}

fn wait_states(gateway: &Sixgate, ipv6: &str, ipv4: &str) {
    wait(gateway, &format!("IPv6 {ipv6}, IPv4 {ipv4}"), |health| {
        health["ipv6"]["state"] == ipv6 && health["ipv4"]["state"] == ipv4
    });
}

/// Three probes in a row without an answer take their time.
fn wait(gateway: &Sixgate, what: &str, judge: impl Fn(&Value) -> bool) {
    let tell = || format!("{}\n{}", gateway.status(), gateway.log());
    wait_some(what, 3 * PATIENCE, || judge(&gateway.status()["health"]).then_some(()), tell)
        .unwrap_or_else(|error| panic!("{error}"));
}

fn problems(gateway: &Sixgate) -> String {
    gateway.status()["problems"].to_string()
}

#[test]
fn broken_ipv6_is_red_although_ipv4_hides_it() {
    let home = home("health");
    with_ipv4(&home);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let _resolver = resolver(&home.isp);
    let gateway = Sixgate::start(
        &home.gw,
        &format!(
            "{GATEWAY}[dns]\nupstreams = [\"[{ISP}]:5300\"]\n[health]\ninterval = 5\ntargets = [\"www.example:80\"]\n"
        ),
    );
    // Nobody listens on port 80: whoever refuses is reached all the same.
    wait_states(&gateway, "ok", "ok");
    let status = gateway.status();
    assert_eq!(status["health"]["checks"][0]["who"], "www.example:80", "{status}");
    assert!(status["health"]["router"]["answers"] != false, "{status}");
    assert!(status["problems"].as_array().unwrap().is_empty(), "{status}");

    // One name whose IPv6 is broken, while others' works: told, and not taken for the family.
    let table = |rule: &str| {
        let chain = format!("chain c {{ type filter hook input priority 0; {rule} }}");
        shell(&home.isp, &format!("nft 'flush ruleset; table ip6 t {{ {chain}; }}'")).expect(0, &[]);
    };
    table("ip6 daddr 2001:db8:f::80 meta l4proto tcp reject with icmpv6 type no-route;");
    wait(&gateway, "a hidden target", |health| health["checks"][0]["ipv6"]["state"] == "hidden");
    assert_eq!(gateway.status()["health"]["ipv6"]["state"], "ok");
    assert!(problems(&gateway).contains("www.example:80 is not reached over IPv6 and is over IPv4"));

    table("meta l4proto tcp drop;");
    wait_states(&gateway, "hidden", "ok");
    assert!(problems(&gateway).contains("IPv6 is broken and IPv4 hides it"), "{}", problems(&gateway));
    assert!(problems(&gateway).contains("the ISP's router answers, so the fault is behind it"));
    assert!(gateway.log().contains("IPv6 broken, hidden by IPv4"), "{}", gateway.log());
    run(&home.gw, SIXGATE, &["status"]).expect(0, &["\nhealth\n", "ipv6 hidden", "problem: IPv6 is broken"]);
    table("");
    wait_states(&gateway, "ok", "ok");
    gateway.stop();
    isp.stop();
}

#[test]
fn by_default_only_the_router_and_the_resolvers_are_asked() {
    let home = home("health-default");
    with_ipv4(&home);
    let wan = home.isp.capture("cust0").unwrap();
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, &format!("{GATEWAY}[health]\ninterval = 5\n"));
    // IPv4 that nobody is asked over is not known, and none is no fault.
    wait_states(&gateway, "ok", "unknown");
    run(&home.gw, "ip", &["-4", "route", "del", "default"]).expect(0, &[]);
    wait_states(&gateway, "ok", "none");
    gateway.wait_status("the router's answer", |status| {
        (status["health"]["router"]["answers"] == true).then_some(())
    });
    let status = gateway.status();
    assert!(status["problems"].as_array().unwrap().is_empty(), "{status}");
    wan.stop().unwrap();
    let mac = output(&home.gw, "cat", &["/sys/class/net/wan0/address"]);
    let sent = |filter: &str| {
        wan.fields(&format!("eth.src == {} && ({filter})", mac.trim()), &["frame.number"]).unwrap().len()
    };
    assert!(sent("icmpv6.type == 135") > 0 && sent(&format!("tcp.dstport == 53 && ipv6.dst == {ISP}")) > 0);
    assert_eq!(sent(&format!("tcp && !(ipv6.addr == {ISP})")), 0, "nobody else");
    assert_eq!(sent("ip"), 0, "not one IPv4 packet");
    wan.assert_clean("!tcp.analysis.flags").unwrap();

    // Off, while it runs.
    write_config(&home.gw, &format!("{GATEWAY}[health]\nenabled = false\n"));
    gateway.process.signal(sixgate_lab::Signal::SIGHUP).unwrap();
    gateway.wait_status("no health", |status| status["health"].is_null().then_some(()));
    gateway.stop();
    isp.stop();
}

#[test]
fn nat64_is_probed_through_the_translator_itself() {
    let home = home("health-nat64");
    with_ipv4(&home);
    let isp = Sixgate::start(&home.isp, &isp_config());
    // Nobody listens there, and it says so.
    let targets = "[health]\ninterval = 5\ntargets = [\"198.51.100.2:80\"]\n";
    let gateway =
        Sixgate::start(&home.gw, &format!("{GATEWAY}[nat64]\nprefix = \"2001:db8:64::/96\"\n{targets}"));
    wait(&gateway, "NAT64 to work", |health| health["nat64"]["state"] == "ok");
    let status = gateway.status();
    let check = &status["health"]["checks"][0];
    assert!(check["nat64"]["milliseconds"].is_number() && check["ipv4"]["state"] == "ok", "{status}");
    assert!(check["ipv6"].is_null(), "an IPv4 address is no test of IPv6: {status}");
    assert!(status["nat64"]["counters"]["to-ipv4"].as_u64().unwrap() > 0, "{status}");
    // What comes from its pool no longer gets through; the machine's own IPv4 does.
    let drop = "nft 'table ip t { chain c { type filter hook forward priority 0; ip protocol tcp drop; }; }'";
    shell(&home.gw, drop).expect(0, &[]);
    wait(&gateway, "NAT64 to be broken", |health| {
        health["nat64"]["state"] == "broken" && health["ipv4"]["state"] == "ok"
    });
    assert!(problems(&gateway).contains("NAT64 does not get through"), "{}", problems(&gateway));
    gateway.stop();
    isp.stop();
}
