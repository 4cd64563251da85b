//! `sixgate report`: what is written of clients that others wrote, judged and readable by an analyser we did not write.

use crate::network::*;
use crate::world::*;
use serde_json::Value;
use sixgate_lab::{Command, Host, Process, Signal};

fn mac(host: &Host) -> String {
    output(host, "cat", &["/sys/class/net/eth0/address"]).trim().to_owned()
}

/// Begins to listen to a host; the folder.
fn listen(segment: &Segment, host: &Host, folder: &str) -> Process {
    let arguments = ["report", &mac(host), "--seconds", "90", "--output", folder];
    let report = segment.gw.spawn(&Command::new(SIXGATE).args(arguments)).unwrap();
    report.wait_line("listening on lan0", PATIENCE).unwrap();
    report
}

/// Ends it; what it found, the page, and the rules that were not kept.
fn end(segment: &Segment, report: &Process, folder: &str) -> (Value, String, Vec<String>) {
    report.signal(Signal::SIGINT).unwrap();
    assert!(report.wait(PATIENCE).unwrap().success(), "{}", report.output());
    let read = |name: &str| segment.gw.read_file(format!("{folder}/{name}")).unwrap();
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    let violated = json["findings"].as_array().unwrap().iter();
    let violated = violated.filter(|finding| finding["verdict"] == "violated");
    let violated = violated.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
    (json, read("report.md"), violated)
}

/// What tshark sees in the capture: a line for each frame that `filter` selects.
fn tshark(segment: &Segment, folder: &str, filter: &str) -> Vec<String> {
    let file = format!("{folder}/exchange.pcap");
    let text = output(
        &segment.gw,
        "sh",
        &["-c", &format!("tshark -n -r {file} -Y '{filter}' -T fields -e frame.number 2>/dev/null")],
    );
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_client_that_is_told_to_do_without_ipv4_and_does_not_is_reported() {
    let segment = Segment::new("report");
    let sixgate = segment.serve(&format!("{}[census]\nprivacy = \"named\"\n[history]\n", mostly()));

    // Heeds option 108, if only when it is told a second time.
    let report = listen(&segment, &segment.new, "/run/heeds");
    output(&segment.new, "ip", &["link", "set", "eth0", "down"]);
    output(&segment.new, "ip", &["link", "set", "eth0", "up"]);
    let laptop = dhcpcd(&segment.new, CAPABLE);
    wait_heeded(&sixgate, &laptop);
    wait_in(&segment.new, "eth0", "2001:db8:1::/64".parse().unwrap());
    let (json, page, violated) = end(&segment, &report, "/run/heeds");
    assert!(violated.iter().all(|rule| rule == "v6only-stops"), "{violated:?}\n{page}");
    assert_eq!(json["client"], mac(&segment.new));
    assert!(page.contains("IPv6-only preferred (option 108) for 300 s"), "{page}");
    assert!(page.contains("Router Advertisement: lifetime") && page.contains("2001:db8:1::/64"), "{page}");
    assert!(json["census"]["asks_108"] == true, "{json}");
    // What stands in words stands in the capture, by the same numbers.
    let offers = tshark(&segment, "/run/heeds", "dhcp.option.dhcp == 2 && dhcp.option.type == 108");
    let told = json["exchange"].as_array().unwrap().iter();
    let told: Vec<String> = told
        .filter(|line| line["words"].as_str().unwrap().starts_with("DHCPv4 Offer"))
        .map(|line| line["frame"].to_string())
        .collect();
    assert!(!told.is_empty() && told == offers, "{told:?} {offers:?}");
    assert!(tshark(&segment, "/run/heeds", "_ws.malformed").is_empty());
    // Only this client's, and only what it takes to come up.
    let others = format!("dhcp && dhcp.hw.mac_addr != {}", mac(&segment.new));
    assert!(tshark(&segment, "/run/heeds", &others).is_empty());
    assert!(tshark(&segment, "/run/heeds", "tcp || http").is_empty());

    // Asks for it, is given it, and takes an address nevertheless.
    let report = listen(&segment, &segment.third, "/run/ignores");
    let udhcpc = Command::new("udhcpc").args([
        "-f",
        "-i",
        "eth0",
        "-O",
        "108",
        "-t",
        "20",
        "-T",
        "1",
        "-s",
        "/bin/true",
    ]);
    let _printer = segment.third.spawn(&udhcpc).unwrap();
    sixgate.wait_status("an address nevertheless", |status| {
        (status["dhcpv4"]["ack"].as_u64()? > 0).then_some(())
    });
    let (json, page, violated) = end(&segment, &report, "/run/ignores");
    assert!(violated.contains(&"v6only-stops".to_owned()), "{violated:?}\n{page}");
    assert!(page.contains("**RFC 8925 section 3.2** (SHOULD)"), "{page}");
    let finding =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == "v6only-stops");
    let frames = finding.unwrap()["frames"].as_array().unwrap();
    let from = format!("dhcp && eth.src == {}", mac(&segment.third));
    let sent = tshark(&segment, "/run/ignores", &from);
    assert!(frames.iter().all(|frame| sent.contains(&frame.to_string())), "{frames:?} {sent:?}");
    assert!(page.contains("## Privacy") && page.contains("no connection, no payload"), "{page}");

    // The folder is its maker's alone, and none is written over.
    let mode = output(&segment.gw, "stat", &["-c", "%a", "/run/ignores", "/run/ignores/exchange.pcap"]);
    assert_eq!(mode.split_whitespace().collect::<Vec<_>>(), ["700", "600"]);
    let again = Command::new(SIXGATE).args([
        "report",
        &mac(&segment.third),
        "--no-capture",
        "--output",
        "/run/ignores",
    ]);
    let again = segment.gw.spawn(&again).unwrap();
    assert_eq!(again.wait(PATIENCE).unwrap().code(), Some(1), "{}", again.output());

    // When nothing runs, the history tells; and of whom nothing is known, nothing is said.
    let resource = sixgate.leases()[0]["resource"].as_str().unwrap().to_owned();
    sixgate.stop();
    let after = ["report", &mac(&segment.third), "--output", "/run/after"];
    let said = output(&segment.gw, SIXGATE, &after);
    assert!(said.contains("sixgate is not running"), "{said}");
    let page = segment.gw.read_file("/run/after/report.md").unwrap();
    assert!(page.contains(&format!("{resource} (leased) from 2")), "{page}");
    let nobody = segment.gw.spawn(&Command::new(SIXGATE).args(["report", "nobody"])).unwrap();
    assert_eq!(nobody.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(nobody.output().contains("nobody here is known as `nobody`"), "{}", nobody.output());
}
