//! The whole chain with ourselves as ISP: prefix, router advertisement, lease, name, page; and a clean end.

use crate::network::*;
use sixgate_lab::Command;

#[test]
fn a_kernel_client_browses_through_a_delegated_prefix() {
    let home = home("served");
    let seen = home.alice.capture("eth0").unwrap();
    let wan = home.isp.capture("cust0").unwrap();
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let delegated = gateway.wait_delegated();
    assert_eq!(delegated.prefix_len(), 56);
    let (kitchen, studio) = (gateway.wait_lan_prefix(0), gateway.wait_lan_prefix(1));
    assert!(delegated.contains(&kitchen) && delegated.contains(&studio) && kitchen != studio);
    let alice = wait_in(&home.alice, "eth0", kitchen);
    wait_in(&home.bob, "eth0", studio);

    home.isp.write_file("/run/www/index.html", "far away\n").unwrap();
    let _server = home
        .isp
        .spawn(&Command::new("python3").args([
            "-m",
            "http.server",
            "80",
            "--bind",
            "::",
            "--directory",
            "/run/www",
        ]))
        .unwrap();
    home.isp
        .wait_for("the web server's socket", PATIENCE, || home.isp.listening(sixgate_lab::Transport::Tcp, 80))
        .unwrap();
    let resolver = kitchen.network().to_string() + "1";
    home.alice.write_file("/etc/resolv.conf", format!("nameserver {resolver}\n")).unwrap();
    let page = output(&home.alice, "curl", &["-sS", "--max-time", "20", "http://far.example/"]);
    assert_eq!(page, "far away\n");
    let bob = output(&home.bob, "ping", &["-c", "1", "-W", "5", &alice.to_string()]);
    assert!(bob.contains("1 received"), "LAN to LAN: {bob}");

    gateway.stop();
    isp.stop();
    seen.stop().unwrap();
    wan.stop().unwrap();
    seen.assert_clean("").unwrap();
    wan.assert_clean("").unwrap();
    // Nothing that `up` set is left.
    let left = output(&home.gw, "ip", &["-6", "route", "show", "proto", "86"]);
    assert_eq!(left, "");
    let addresses = output(&home.gw, "ip", &["-6", "addr", "show", "scope", "global"]);
    assert_eq!(addresses, "");
    assert_eq!(output(&home.gw, "nft", &["list", "ruleset"]), "");
    assert_eq!(output(&home.gw, "sysctl", &["-n", "net.ipv6.conf.all.forwarding"]), "0\n");
}

#[test]
fn without_dns_of_its_own_it_tells_of_the_isps() {
    let home = home("no-dns");
    let seen = home.alice.capture("eth0").unwrap();
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, &format!("{GATEWAY}[dns]\nenabled = false\n"));
    let told = seen.wait_fields("icmpv6.opt.rdnss", &["icmpv6.opt.rdnss"], 1, PATIENCE).unwrap();
    assert_eq!(told[0], [ISP]);
    assert!(!home.gw.listening(sixgate_lab::Transport::Udp, 53));
    gateway.stop();
    isp.stop();
    seen.stop().unwrap();
    seen.assert_clean("").unwrap();
}
