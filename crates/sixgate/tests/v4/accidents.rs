//! What goes wrong: the NAT64 fails, somebody takes our address, port 67 is another's, people mistype.

use crate::network::*;
use crate::world::*;
use sixgate_lab::{Command, Host};

fn run(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let process = host.spawn(&Command::new(SIXGATE).args(arguments)).unwrap();
    (process.wait(PATIENCE).unwrap().code(), process.output())
}

/// Without a way to IPv4 nobody is told to do without it (RFC 8925 section 4): the field's known accident.
#[test]
fn while_the_nat64_does_not_work_nobody_is_told() {
    let segment = Segment::new("v4-nat64");
    let sixgate = segment.serve(&mostly());
    let laptop = dhcpcd(&segment.new, CAPABLE);
    laptop.wait_line("IPv6-Only Preferred received", PATIENCE).unwrap();
    laptop.stop(PATIENCE).unwrap();
    segment.take_way_out();
    wait_told(&sixgate, false);
    let why = sixgate.status()["lans"][0]["ipv4"]["why_not"].as_str().unwrap().to_owned();
    assert!(why.contains("NAT64 leads nowhere"), "{why}");
    let laptop = dhcpcd(&segment.new, CAPABLE);
    wait_leased(&sixgate, &segment.new);
    laptop.stop(PATIENCE).unwrap();
    segment.give_way_out();
    wait_told(&sixgate, true);
    segment.end(sixgate);
}

/// With another's NAT64 it is another's business, and with none nobody is ever told.
#[test]
fn option_108_needs_a_prefix_of_a_nat64() {
    let segment = Segment::new("v4-pref64");
    segment.take_way_out();
    let sixgate = Sixgate::start(&segment.gw, LAN);
    let why = sixgate
        .wait_status("IPv4", |status| status["lans"][0]["ipv4"]["why_not"].as_str().map(str::to_owned));
    assert!(why.contains("turn NAT64 on"), "{why}");
    let laptop = dhcpcd(&segment.new, CAPABLE);
    wait_leased(&sixgate, &segment.new);
    laptop.stop(PATIENCE).unwrap();
    sixgate.stop();
    let sixgate = segment.serve(&format!("{LAN}pref64 = \"2001:db8:64::/96\"\n"));
    segment.end(sixgate);
}

#[test]
fn our_address_is_put_back_and_anothers_is_left_alone() {
    let segment = Segment::new("v4-address");
    let sixgate = segment.serve(&mostly());
    let held =
        || output(&segment.gw, "ip", &["-4", "-o", "addr", "show", "dev", "lan0"]).contains("192.168.7.1/24");
    assert!(held());
    output(&segment.gw, "ip", &["addr", "del", "192.168.7.1/24", "dev", "lan0"]);
    segment.gw.wait_for("our address", PATIENCE, held).unwrap();
    // Killed, the next run takes it away, although that serves no IPv4 any more.
    sixgate.kill();
    assert!(held());
    let sixgate =
        Sixgate::start(&segment.gw, &LAN.split_inclusive("ipv4").next().unwrap().replace("\nipv4", "\n"));
    segment.gw.wait_for("no address", PATIENCE, || !held()).unwrap();
    sixgate.stop();
    // One that was there before stays.
    output(&segment.gw, "ip", &["addr", "add", "192.168.7.1/24", "dev", "lan0"]);
    let sixgate = segment.serve(&mostly());
    sixgate.stop();
    assert!(held(), "an address that was not ours is gone");
    let sixgate = segment.serve(&mostly());
    // Another address by a reload: what was leased is extended no more, the server answers with its new address.
    write_config(&segment.gw, &mostly().replace("192.168.7.", "192.168.8."));
    sixgate.process.signal(sixgate_lab::Signal::SIGHUP).unwrap();
    sixgate.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    let printer = udhcpc(&segment.lab, &segment.third);
    segment.third.wait_for("a new address", PATIENCE, || address(&segment.third).is_some()).unwrap();
    assert!(address(&segment.third).unwrap().starts_with("192.168.8.1"));
    output(&segment.third, "ping", &["-c", "1", "-W", "5", "192.168.8.1"]);
    printer.stop(PATIENCE).unwrap();
    segment.end(sixgate);
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let segment = Segment::new("v4-mistakes");
    write_config(&segment.gw, &mostly());
    let (code, said) = run(&segment.gw, &["pilot"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("start it with `sixgate up`"), "{said}");

    let dnsmasq = segment.gw.spawn(&Command::new("dnsmasq").args([
        "--no-daemon",
        "--port=0",
        "--interface=lan0",
        "--dhcp-range=192.168.7.10,192.168.7.20",
        "--conf-file=/dev/null",
        "--dhcp-leasefile=/run/dnsmasq.leases",
    ]));
    let dnsmasq = dnsmasq.unwrap();
    segment
        .gw
        .wait_for("dnsmasq", PATIENCE, || output(&segment.gw, "ss", &["-4lnu"]).contains(":67 "))
        .unwrap();
    let refused = Sixgate::spawn(&segment.gw, &mostly());
    assert_eq!(refused.process.wait(PATIENCE).unwrap().code(), Some(3), "{}", refused.log());
    assert!(
        refused.log().contains("UDP 0.0.0.0:67 on lan0") && refused.log().contains("(dnsmasq)"),
        "{}",
        refused.log()
    );
    dnsmasq.stop(PATIENCE).unwrap();

    let sixgate = segment.serve(&mostly());
    for (arguments, says) in [
        (&["pilot", "101%"][..], "0% (nobody) to 100%"),
        (&["pilot", "--only", "laptop"], "write an Ethernet address"),
        (&["pilot", "--off", "5%"], "cannot be used with"),
    ] {
        let (code, said) = run(&segment.gw, arguments);
        assert!(code == Some(2) && said.contains(says), "{arguments:?}: {code:?} {said}");
    }
    let shown =
        pilot(&sixgate, &["50%", "--only", "02:00:00:00:00:01,id:00:70:63", "--except", "02:00:00:00:00:02"]);
    assert_eq!(
        (shown["only"].as_array().unwrap().len(), &shown["except"][0]),
        (2, &"02:00:00:00:00:02".into())
    );
    let shown = pilot(&sixgate, &["--only", "all", "--except", "none"]);
    let none = serde_json::json!([]);
    assert_eq!((&shown["only"], &shown["except"], &shown["percent"]), (&none, &none, &50.into()));
    let shown = pilot(&sixgate, &["--file"]);
    assert_eq!((&shown["percent"], &shown["commanded"]), (&100.into(), &false.into()));
    // A command that nobody understands changes nothing.
    for (command, says) in
        [("pilot {\"share\":5}", "unknown field"), ("pilot {\"percent\":101}", "no share in percent")]
    {
        let said = view(&sixgate, command);
        assert!(said["error"].as_str().unwrap().contains(says), "{said}");
    }
    assert_eq!(pilot(&sixgate, &[])["percent"], 100);
    sixgate.stop();

    segment.gw.write_file("/etc/sixgate.toml", mostly().replace("192.168.7.1/24", "192.168.7.1")).unwrap();
    let (code, said) = run(&segment.gw, &["check"]);
    assert!(code == Some(2) && said.contains("does not say how long") && said.contains("^^^^"), "{said}");
}
