//! DNS64: a host without IPv4 reaches a name that has A records only, and learns the prefix from the system's
//! resolver.

use crate::mistakes::run;
use crate::network::*;
use sixgate_endpoint::nat64;
use sixgate_endpoint::resolve::SystemResolver;
use sixgate_lab::{Command, Signal, Transport};

/// A prefix of the network: the well-known one would not stand for an address of documentation (RFC 6052
/// section 3.1).
const PREFIX: &str = "2001:db8:64::/96";
/// 203.0.113.80 in it. The ISP has it on its loopback interface, where a NAT64 would stand.
const FAR_V4: &str = "2001:db8:64::cb00:7150";

#[test]
fn a_name_with_ipv4_only_is_reached_over_ipv6() {
    let home = home("dns64");
    home.isp.add_address_nodad("lo", net(&format!("{FAR_V4}/128"))).unwrap();
    let isp = Sixgate::start(&home.isp, &isp_config());
    let dnsmasq =
        ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"];
    let records = ["--local=/example/", "--local-ttl=60", "--host-record=v4.example,203.0.113.80"];
    let listen = ["--port=5300", "--bind-interfaces", "--listen-address=2001:db8:0:1::1", "--user=root"];
    let arguments = [&dnsmasq[..], &records, &listen].concat();
    let _dnsmasq = home.isp.spawn(&Command::new("dnsmasq").args(arguments)).unwrap();
    home.isp.wait_for("dnsmasq's socket", PATIENCE, || home.isp.listening(Transport::Udp, 5300)).unwrap();
    home.isp.write_file("/run/www/index.html", "once IPv4\n").unwrap();
    let serve = ["-m", "http.server", "80", "--bind", "::", "--directory", "/run/www"];
    let _server = home.isp.spawn(&Command::new("python3").args(serve)).unwrap();
    home.isp
        .wait_for("the web server's socket", PATIENCE, || home.isp.listening(Transport::Tcp, 80))
        .unwrap();

    let plain = format!("{GATEWAY}[dns]\nupstreams = [\"[{ISP}]:5300\"]\n");
    let with = format!("{plain}dns64 = \"{PREFIX}\"\n");
    let gateway = Sixgate::start(&home.gw, &with);
    // No LAN announces the prefix, and nobody forgets the NAT64 without being told.
    run(&home.gw, SIXGATE, &["check"]).expect(
        0,
        &[
            "no LAN announces this prefix",
            "which lead nowhere without a NAT64",
            "add pref64 = \"2001:db8:64::/96\"",
        ],
    );
    assert!(gateway.log().contains("no LAN announces this prefix"), "{}", gateway.log());
    gateway.wait_delegated();
    let kitchen = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", kitchen);
    home.alice.write_file("/etc/resolv.conf", format!("nameserver {}1\n", kitchen.network())).unwrap();

    let page = output(&home.alice, "curl", &["-6", "-sS", "--max-time", "20", "http://v4.example/"]);
    assert_eq!(page, "once IPv4\n");
    let found = home.alice.run(|| nat64::discover(&SystemResolver)).unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [PREFIX]);
    let status = gateway.status();
    assert_eq!(status["dns64"], PREFIX);
    assert!(status["dns"]["dns64-synthesised"].as_u64().unwrap() >= 1, "{status}");
    assert!(status["dns"]["dns64-discoveries"].as_u64().unwrap() >= 1, "{status}");
    run(&home.gw, SIXGATE, &["status"]).expect(0, &["dns64 2001:db8:64::/96"]);

    // Off and to another prefix while it runs.
    let reload = |config: &str, told: Option<&str>| {
        write_config(&home.gw, config);
        gateway.process.signal(Signal::SIGHUP).unwrap();
        gateway.wait_status("the reload", |status| (status["dns64"].as_str() == told).then_some(()));
        let resolver = format!("@{}1", kitchen.network());
        output(&home.alice, "dig", &["+short", "+time=5", "+tries=2", &resolver, "v4.example", "AAAA"])
    };
    assert_eq!(reload(&plain, None), "");
    let other = with.replace(PREFIX, "2001:db8:65::/48");
    assert_eq!(reload(&other, Some("2001:db8:65::/48")), "2001:db8:65:cb00:71:5000::\n");
    gateway.stop();
    isp.stop();
}
