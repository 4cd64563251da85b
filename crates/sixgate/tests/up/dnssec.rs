//! DNSSEC where the resolver passes no signatures on: names fail, a person is told why, and may decide otherwise.

use crate::mistakes::run;
use crate::network::*;
use sixgate_lab::{Command, Signal, Transport};

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
