//! DNSSEC from a client's side, where the resolver passes signatures on and where it does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

// The tree of signed zones that the validator's own tests have.
#[path = "../../../dns/tests/dnssec/server.rs"]
mod server;
#[path = "../../../dns/tests/dnssec/signer.rs"]
mod signer;
#[allow(dead_code, reason = "its cases are the other tests'")]
#[path = "../../../dns/tests/dnssec/tree.rs"]
mod tree;
#[allow(dead_code, reason = "its queries are the other tests'")]
#[path = "../../../dns/tests/dnssec/wire.rs"]
mod wire;
#[path = "../../../dns/tests/dnssec/zone.rs"]
mod zone;

use crate::mistakes::run;
use crate::network::*;
use sixgate_lab::{Command, Signal, Transport};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn names_are_judged_for_whoever_asks() {
    let home = home("dnssec-tree");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let tree = Arc::new(tree::Tree::new(u32::try_from(now).unwrap()));
    home.isp.run(|| server::serve(&tree, "[2001:db8:0:1::1]:5300"));
    home.gw.write_file("/run/root.key", tree.anchor()).unwrap();
    let config =
        format!("{GATEWAY}[dns]\nupstreams = [\"[{ISP}]:5300\"]\ndnssec-anchors = \"/run/root.key\"\n");
    let gateway = Sixgate::start(&home.gw, &config);
    gateway.wait_delegated();
    let kitchen = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", kitchen);
    let resolver = format!("@{}1", kitchen.network());
    for (name, more, parts) in [
        ("www.ecdsa256.tree", "+dnssec", &["status: NOERROR", "flags: qr rd ra ad;", "RRSIG"][..]),
        ("www.ecdsa256.tree", "+adflag", &["flags: qr rd ra ad;"]),
        ("none.ent.hash", "+dnssec", &["status: NXDOMAIN", "flags: qr rd ra ad;", "NSEC3"]),
        ("www.unsigned.tree", "+dnssec", &["status: NOERROR", "flags: qr rd ra;", "192.0.2.80"]),
        ("www.badsig.tree", "+dnssec", &["status: SERVFAIL", "EDE: 6 (DNSSEC Bogus)"]),
        ("www.badsig.tree", "+cdflag", &["status: NOERROR", "192.0.2.80"]),
        ("www.expired.tree", "+dnssec", &["status: SERVFAIL", "EDE: 7 (Signature Expired)"]),
    ] {
        let text = output(&home.alice, "dig", &["+time=5", "+tries=2", &resolver, name, "A", more]);
        assert!(parts.iter().all(|part| text.contains(part)), "{name} {more}: {parts:?} in\n{text}");
    }
    let status = gateway.status();
    assert_eq!((&status["dns"]["dnssec-bogus"], &status["dns"]["dnssec-untimed"]), (&2.into(), &0.into()));
    assert!(!status["problems"].to_string().contains("DNSSEC"), "{status}");
    gateway.stop();
    isp.stop();
}

#[test]
fn a_resolver_that_strips_signatures_is_told_of() {
    let home = home("dnssec");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let dnsmasq =
        ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"];
    let records = ["--local=/example/", "--local-ttl=60", "--host-record=www.example,2001:db8::80"];
    let listen = ["--port=5300", "--bind-interfaces", "--listen-address=2001:db8:0:1::1", "--user=root"];
    let arguments = [&dnsmasq[..], &records, &listen].concat();
    let _dnsmasq = home.isp.spawn(&Command::new("dnsmasq").args(arguments)).unwrap();
    home.isp.wait_for("dnsmasq's socket", PATIENCE, || home.isp.listening(Transport::Udp, 5300)).unwrap();

    let config = |dnssec: &str| format!("{GATEWAY}[dns]\nupstreams = [\"[{ISP}]:5300\"]\ndnssec{dnssec}\n");
    let gateway = Sixgate::start(&home.gw, &config(" = true"));
    gateway.wait_delegated();
    let kitchen = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", kitchen);
    let resolver = format!("@{}1", kitchen.network());
    let dig = |more: &str| {
        output(&home.alice, "dig", &["+time=5", "+tries=2", &resolver, "www.example", "AAAA", more])
    };
    let text = dig("+dnssec");
    assert!(text.contains("status: SERVFAIL") && text.contains("EDE: 12 (NSEC Missing)"), "{text}");
    assert!(dig("+cdflag").contains("2001:db8::80"), "who validates itself gets what there is");
    let told = "DNSSEC signatures do not pass the resolver [2001:db8:0:1::1]:5300: names get SERVFAIL";
    run(&home.gw, SIXGATE, &["status"]).expect(0, &[told, "dns.dnssec = false"]);
    let status = gateway.status();
    assert_eq!(status["dns"]["dnssec-bogus"], 1, "{status}");
    assert_eq!(status["dns"]["dnssec-untimed"], 0, "{status}");

    let reload = |dnssec: &str, problems: usize| {
        write_config(&home.gw, &config(dnssec));
        gateway.process.signal(Signal::SIGHUP).unwrap();
        gateway.wait_status("the reload", |status| {
            let told = status["problems"].as_array().unwrap();
            (told.iter().filter(|told| told.to_string().contains("DNSSEC")).count() == problems).then_some(())
        });
        dig("+dnssec")
    };
    let text = reload(" = false", 0);
    assert!(text.contains("2001:db8::80") && !text.contains("EDE"), "{text}");
    let text = reload(" = \"permissive\"", 1);
    assert!(text.contains("2001:db8::80") && text.contains("EDE: 12"), "{text}");
    assert!(gateway.status()["dns"]["dnssec-permitted"].as_u64().unwrap() >= 1);
    let text = reload("-except = [\"example\"]", 1);
    assert!(text.contains("2001:db8::80") && !text.contains("EDE"), "{text}");
    gateway.stop();
    isp.stop();
}
