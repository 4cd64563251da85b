//! Reconfigure: clients that others wrote, and our own, come back when they are asked.

use crate::network::*;
use sixgate_lab::{Command, wait_some};

const ISP: &str = "[[lan]]\ninterface = \"cust0\"\nprefixes = [\"2001:db8:0:1::/64\"]\n\
    delegate-from = [\"2001:db8:100::/40\"]\ndelegate-length = 56\n[dns]\nenabled = false\n[reconfigure]\n";
const LAN: &str = "[[lan]]\ninterface = \"lan0\"\nslaac = false\nprefixes = [\"2001:db8:2::/64\"]\n\
    delegate-from = [\"2001:db8:200::/40\"]\n[[lan]]\ninterface = \"lan1\"\nslaac = false\nprefixes = [\"2001:db8:3::/64\"]\n\
    [reconfigure]\n";

fn count(sixgate: &Sixgate, name: &str) -> u64 {
    sixgate.status()["dhcp"][name].as_u64().unwrap()
}

fn wait_count(sixgate: &Sixgate, name: &str, wanted: u64) {
    sixgate.wait_status(name, |status| status["dhcp"][name].as_u64().filter(|n| *n >= wanted));
}

/// What `sixgate reconfigure` says, and its exit code.
fn reconfigure(sixgate: &Sixgate, arguments: &[&str]) -> (i32, String) {
    let process = sixgate.host.spawn(&Command::new(SIXGATE).arg("reconfigure").args(arguments)).unwrap();
    let code = process.wait(PATIENCE).unwrap().code().unwrap();
    (code, process.output())
}

#[test]
fn a_gateway_comes_back_to_its_isp() {
    let home = home("reconfigure");
    let seen = home.gw.capture("wan0").unwrap();
    let isp = Sixgate::start(&home.isp, ISP);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    gateway.wait_delegated();
    wait_count(&isp, "reconfigure-agreed", 1);
    let renewals = count(&isp, "renew");
    assert_eq!(reconfigure(&isp, &["--all"]), (0, "1 clients are being asked\n".to_owned()));
    wait_count(&isp, "reconfigure-answered", 1);
    assert_eq!(count(&isp, "renew"), renewals + 1);
    // Who agreed and by which key is known after a crash, too.
    isp.kill();
    let isp = Sixgate::start(&home.isp, ISP);
    let (code, said) = reconfigure(&isp, &["--link", "cust0", "--ask", "rebind"]);
    assert_eq!((code, said.as_str()), (0, "1 clients are being asked\n"));
    wait_count(&isp, "reconfigure-answered", 1);
    wait_count(&isp, "rebind", 1);
    let (code, said) = reconfigure(&isp, &["2001:db8::dead"]);
    assert!(code == 1 && said.contains("is not leased"), "{said}");
    assert_eq!(reconfigure(&isp, &[]).0, 2);
    gateway.stop();
    isp.stop();
    seen.stop().unwrap();
    let types = seen.fields("dhcpv6.msgtype == 10", &["dhcpv6.reconf_msg", "dhcpv6.auth.protocol"]).unwrap();
    assert!(types.len() >= 2 && types[0] == ["5", "3"] && types.last().unwrap() == &["6", "3"], "{types:?}");
    seen.assert_clean("dhcpv6").unwrap();
}

#[test]
fn dhcpcd_comes_back_by_command_and_when_its_prefix_changes() {
    let home = home("reconfigure-dhcpcd");
    let seen = home.alice.capture("eth0").unwrap();
    let gateway = Sixgate::start(&home.gw, LAN);
    let config = "nodev\nduid\nipv6only\nnohook resolv.conf\nnoipv6rs\ninterface eth0\nipv6rs\nia_na 1\noption dhcp6_reconfigure_accept\n";
    home.alice.write_file("/run/dhcpcd.conf", config).unwrap();
    let client = home
        .alice
        .spawn(&Command::new("dhcpcd").args(["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"]))
        .unwrap();
    let held = |prefix: &str| {
        let prefix: ipnet::Ipv6Net = prefix.parse().unwrap();
        home.alice.wait_address("eth0", |address| prefix.contains(&address), PATIENCE)
    };
    held("2001:db8:2::/64").unwrap_or_else(|error| panic!("{error}\n{}", client.output()));
    wait_count(&gateway, "reconfigure-agreed", 1);
    assert_eq!(reconfigure(&gateway, &["--link", "lan0"]).1, "1 clients are being asked\n");
    wait_some(
        "a renewal",
        PATIENCE,
        || (count(&gateway, "reconfigure-answered") == 1).then_some(()),
        || client.output(),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    // The LAN is renumbered: it comes at once, and not at T1.
    write_config(&home.gw, &LAN.replace("2001:db8:2::/64", "2001:db8:4::/64"));
    gateway.process.signal(sixgate_lab::Signal::SIGHUP).unwrap();
    held("2001:db8:4::/64").unwrap_or_else(|error| panic!("{error}\n{}\n{}", client.output(), gateway.log()));
    assert_eq!(count(&gateway, "reconfigure-answered"), 2);
    client.stop(PATIENCE).unwrap();
    gateway.stop();
    seen.stop().unwrap();
    seen.assert_clean("dhcpv6").unwrap();
}
