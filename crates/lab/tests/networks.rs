//! Networks as the kernel and stock programs see them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::net::{Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv6Net};
use sixgate_lab::{AcceptRa, Command, Lab, Link, Transport, root_for_tests, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn ping(count: u32, to: &str) -> Command {
    Command::new("ping").args(["-n", "-i", "0.05", "-W", "5", "-c", &count.to_string(), to])
}

#[test]
fn delay_is_seen_in_a_capture() {
    root_for_tests().unwrap();
    let lab = Lab::new("delay").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let delay = Duration::from_millis(30);
    let link = lab
        .link(Link::between((&a, "eth0"), (&b, "eth0")).rate(100_000_000).delay(delay).buffer_ms(50))
        .unwrap();
    a.add_address_nodad("eth0", net("2001:db8::1/64")).unwrap();
    b.add_address_nodad("eth0", net("2001:db8::2/64")).unwrap();
    let capture = a.capture("eth0").unwrap();
    let ping = a.spawn(&ping(5, "2001:db8::2")).unwrap();
    assert!(ping.wait(PATIENCE).unwrap().success(), "{}\n{}", ping.output(), lab.state());
    let times = |kind: u8| -> Vec<f64> {
        let filter = format!("icmpv6.type == {kind}");
        let rows = capture.wait_fields(&filter, &["frame.time_epoch"], 5, PATIENCE).unwrap();
        rows.iter().map(|row| row[0].parse().unwrap()).collect()
    };
    for (sent, answered) in times(128).iter().zip(times(129)) {
        assert!(answered - sent >= 2.0 * delay.as_secs_f64(), "{sent} answered at {answered}");
    }
    capture.stop().unwrap();
    capture.assert_clean("").unwrap();
    assert!(link.counters()[0].delivered >= 5 && link.counters()[1].delivered >= 5);
    assert_eq!(link.counters()[0].dropped, 0);
}

#[test]
fn a_lossy_link_loses() {
    root_for_tests().unwrap();
    let lab = Lab::new("loss").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let link = lab.link(Link::between((&a, "eth0"), (&b, "eth0")).loss(1.0)).unwrap();
    a.add_address_nodad("eth0", net("2001:db8::1/64")).unwrap();
    b.add_address_nodad("eth0", net("2001:db8::2/64")).unwrap();
    a.spawn(&ping(1, "2001:db8::2")).unwrap();
    wait_for("a lost frame", PATIENCE, || link.counters()[0].lost > 0).unwrap();
    assert_eq!(link.counters()[0].delivered, 0);
}

#[test]
fn a_cut_link_carries_nothing_until_it_is_mended() {
    root_for_tests().unwrap();
    let lab = Lab::new("cut").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let slow = Duration::from_millis(1);
    let link = lab.link(Link::between((&a, "eth0"), (&b, "eth0")).delay(slow)).unwrap();
    a.add_address_nodad("eth0", net("2001:db8::1/64")).unwrap();
    b.add_address_nodad("eth0", net("2001:db8::2/64")).unwrap();
    let run = |count| a.spawn(&ping(count, "2001:db8::2")).unwrap().wait(PATIENCE).unwrap();
    assert!(run(1).success());
    link.cut(true).unwrap();
    let command = Command::new("ping").args(["-n", "-W", "1", "-c", "1", "2001:db8::2"]);
    assert!(!a.spawn(&command).unwrap().wait(PATIENCE).unwrap().success());
    link.cut(false).unwrap();
    assert!(run(1).success());
}

#[test]
fn routers_forward_between_segments() {
    root_for_tests().unwrap();
    let lab = Lab::new("routers").unwrap();
    let gw = lab.router("gw").unwrap();
    let mut hosts = Vec::new();
    for (number, room) in ["kitchen", "garage"].into_iter().enumerate() {
        let segment = lab.segment(room).unwrap();
        let prefix = format!("2001:db8:{number}:");
        segment.attach(&gw, room).unwrap();
        gw.add_address(room, net(&format!("{prefix}:1/64"))).unwrap();
        let host = lab.host(&format!("h{number}")).unwrap();
        host.set_dad(false).unwrap();
        segment.attach(&host, "eth0").unwrap();
        host.set_accept_ra("eth0", AcceptRa::Never).unwrap();
        host.add_address("eth0", net(&format!("{prefix}:2/64"))).unwrap();
        assert_eq!(host.read_file("/proc/sys/net/ipv6/conf/eth0/accept_dad").unwrap(), "0\n");
        host.wait_address("eth0", |a| !a.is_unicast_link_local(), PATIENCE).unwrap();
        host.add_route(Ipv6Net::default(), Some(address(&format!("{prefix}:1")).into()), "eth0").unwrap();
        gw.wait_address(room, |a| a == address(&format!("{prefix}:1")), PATIENCE).unwrap();
        hosts.push(host);
    }
    assert_eq!(hosts[0].route_to(address("2001:db8:1::2")).unwrap().via, Some(address("2001:db8::1")));
    let capture = hosts[1].capture("eth0").unwrap();
    let ping = hosts[0].spawn(&ping(2, "2001:db8:1::2")).unwrap();
    assert!(ping.wait(PATIENCE).unwrap().success(), "{}\n{}", ping.output(), lab.state());
    let fields = ["ipv6.src", "ipv6.hlim"];
    let rows = capture.wait_fields("icmpv6.type == 128", &fields, 2, PATIENCE).unwrap();
    assert_eq!(rows[0], ["2001:db8::2", "63"]);
}

#[test]
fn two_labs_of_one_shape_do_not_meet() {
    root_for_tests().unwrap();
    let lab = |name| {
        let lab = Lab::new(name).unwrap();
        let segment = lab.segment("lan").unwrap();
        let host = lab.host("h").unwrap();
        segment.attach(&host, "eth0").unwrap();
        // Both have the same address, which detection of duplicates would find on one Ethernet.
        host.add_address("eth0", net("2001:db8::1/64")).unwrap();
        (host, lab)
    };
    let ((one, _lab1), (two, _lab2)) = (lab("twin1"), lab("twin2"));
    for host in [&one, &two] {
        host.wait_address("eth0", |a| a == address("2001:db8::1"), PATIENCE).unwrap();
    }
}

#[test]
fn programs_are_heard_stopped_and_isolated() {
    root_for_tests().unwrap();
    let lab = Lab::new("programs").unwrap();
    let host = lab.host("box").unwrap();
    host.write_file("/etc/resolv.conf", "nameserver 2001:db8::53\n").unwrap();
    assert_ne!(fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), "nameserver 2001:db8::53\n");
    let script = "cat /etc/resolv.conf; hostname; cat; echo oops >&2; trap '' TERM; echo deaf; sleep 1000";
    let command = Command::new("sh").args(["-c", script]).input("from us\n");
    let process = host.spawn(&command).unwrap();
    process.wait_line("deaf", PATIENCE).unwrap();
    let said = process.log().text(Some(sixgate_lab::Stream::Output));
    assert_eq!(said, "nameserver 2001:db8::53\nbox\nfrom us\ndeaf\n");
    wait_for("stderr", PATIENCE, || process.log().find("oops").is_some()).unwrap();
    // SIGTERM does not help, SIGKILL does.
    let status = process.stop(Duration::from_millis(100)).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    let error = process.wait_line("never said", Duration::from_millis(1)).unwrap_err().to_string();
    assert!(error.contains("never said") && error.contains("deaf"), "{error}");
    assert!(host.spawn(&Command::new("no-such-program")).is_err());
}

#[test]
fn sockets_are_seen() {
    root_for_tests().unwrap();
    let lab = Lab::new("sockets").unwrap();
    let host = lab.host("box").unwrap();
    assert!(!host.listening(Transport::Udp, 547));
    let _socket = host.run(|| UdpSocket::bind("[::]:547")).unwrap();
    assert!(host.listening(Transport::Udp, 547));
    assert!(!host.listening(Transport::Tcp, 547));
}

#[test]
fn awaiting_in_vain_tells_what_and_the_state() {
    root_for_tests().unwrap();
    let lab = Lab::new("vain").unwrap();
    let host = lab.host("box").unwrap();
    let error = host.wait_for("a miracle", Duration::from_millis(5), || false).unwrap_err().to_string();
    assert!(error.contains("a miracle") && error.contains("address lo ::1/128"), "{error}");
}

#[test]
fn a_malformed_packet_is_found() {
    root_for_tests().unwrap();
    let lab = Lab::new("malformed").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    lab.link(Link::between((&a, "eth0"), (&b, "eth0"))).unwrap();
    a.add_address_nodad("eth0", net("2001:db8::1/64")).unwrap();
    let capture = b.capture("eth0").unwrap();
    // A DHCPv6 Solicit whose IA_NA ends after the IAID (RFC 9915 section 21.4).
    let solicit = [1, 0, 0, 1, 0, 3, 0, 4, 1, 2, 3, 4];
    a.run(|| {
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let to = std::net::SocketAddrV6::new(address("ff02::1:2"), 547, 0, index);
        UdpSocket::bind("[::]:546").and_then(|socket| socket.send_to(&solicit, to)).unwrap();
    });
    capture.wait_fields("dhcpv6", &["frame.number"], 1, PATIENCE).unwrap();
    assert!(!capture.problems("udp.srcport == 546").unwrap().is_empty(), "{}", capture.summary());
    assert!(capture.assert_clean("").is_err());
    assert!(capture.assert_clean("udp.srcport == 1").is_ok());
}

#[test]
fn ten_hosts_start_and_end_soon() {
    root_for_tests().unwrap();
    let begin = Instant::now();
    let lab = Lab::new("ten").unwrap();
    let segment = lab.segment("lan").unwrap();
    for number in 0..10 {
        let host = lab.host(&format!("h{number}")).unwrap();
        segment.attach(&host, "eth0").unwrap();
        host.add_address_nodad("eth0", net(&format!("2001:db8::{number:x}/64"))).unwrap();
    }
    let folder = lab.folder().to_owned();
    let state = lab.publish(&folder.join("state")).unwrap();
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains("\"h9\":"), "{text}");
    let started = begin.elapsed();
    drop(segment);
    drop(lab);
    let all = begin.elapsed();
    println!(
        "ten hosts: started in {started:?}, ended in {:?}; target: 2 s together",
        all.saturating_sub(started)
    );
    assert!(all < Duration::from_secs(10), "{all:?}");
    assert!(!folder.exists());
}
