//! NAT64 with real packets: an IPv6-only client, the translator, an IPv4-only server, and stock programs on both sides.
//! Needs root (or a user namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod server;
mod who;
mod world;

use serde_json::Value;
use sixgate_lab::{Capture, Command, Host, wait_for};
use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;
use world::{PATIENCE, SERVER, Translator, World};

/// Runs a program in a host; what it prints.
fn run(host: &Host, line: &str) -> String {
    let mut words = line.split(' ');
    let process = host.spawn(&Command::new(words.next().unwrap()).args(words)).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{line}: {status}\n{}", process.output());
    process.output()
}

/// A file of noise in the host's own /run, and its SHA-256.
fn noise(host: &Host, name: &str, octets: usize) -> String {
    let mut random = fastrand::Rng::with_seed(64);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(octets).collect();
    host.write_file(format!("/run/{name}"), bytes).unwrap();
    sha256(host, name)
}

fn sha256(host: &Host, name: &str) -> String {
    let text = run(host, &format!("sha256sum /run/{name}"));
    text.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned()
}

fn counter(view: &Value, name: &str) -> u64 {
    view["counters"][name].as_u64().unwrap()
}

/// Echoes datagrams of these lengths from the client off the server.
fn udp_echo(world: &World, lengths: &[usize]) {
    let port = server::echo(&world.server);
    let lengths = lengths.to_vec();
    let echo = move || {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let to: Ipv6Addr = world::translated(SERVER);
        for length in lengths {
            let sent: Vec<u8> = (0..length).map(|n| (n * 31 + n / 256) as u8).collect();
            socket.send_to(&sent, (to, port)).unwrap();
            let mut received = vec![0; 65_536];
            let count = socket.recv(&mut received).unwrap_or_else(|e| panic!("{length} octets: {e}"));
            assert_eq!(&received[..count], sent, "{length} octets");
        }
    };
    world.client.thread(echo).unwrap().join().unwrap();
}

/// Packets that `filter` selects where tshark verifies checksums.
fn verified(capture: &Capture, filter: &str) -> usize {
    let mut tshark = std::process::Command::new("tshark");
    for protocol in ["ip", "tcp", "udp"] {
        tshark.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    let output = tshark.args(["-n", "-Y", filter, "-r"]).arg(capture.file()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().count()
}

/// Superpackets cross whole, and every octet arrives, both ways.
#[test]
fn a_hundred_megabytes_each_way() {
    const OCTETS: usize = 100_000_000;
    let world = World::new("nat64-bulk", Duration::ZERO);
    let translator = Translator::start(&world.gw);
    server::http(&world.server);
    let sent = noise(&world.server, "down", OCTETS);
    run(&world.client, "curl -sS -g -m 60 -o /run/down http://[2001:db8:64::c633:6402]/down");
    assert_eq!(sha256(&world.client, "down"), sent);
    run(&world.client, "curl -sS -g -m 60 -H Expect: -T /run/down http://[2001:db8:64::c633:6402]/up");
    assert_eq!(sha256(&world.server, "up"), sent);

    let view = translator.stop();
    assert!(counter(&view, "superpackets") > 0, "{view}");
    // Whole: far fewer crossings than the 140,000 packets that a link of 1500 octets takes for this.
    let crossings = counter(&view, "to-ipv4") + counter(&view, "to-ipv6");
    assert!(crossings < 60_000, "{view}");
    assert_eq!((counter(&view, "sessions-created"), counter(&view, "not-sent")), (2, 0), "{view}");
    // What the kernel itself says on the device (MLD, router solicitations) is nothing to translate.
    let discarded = view["discarded"].as_object().unwrap();
    assert!(discarded.keys().all(|reason| reason == "destination"), "{view}");
}

/// On links that cut superpackets and complete checksums, so that receivers verify them, and tshark too.
#[test]
fn every_protocol_on_the_wire() {
    let world = World::new("nat64-wire", Duration::from_millis(1));
    let captures = [world.server.capture("eth0").unwrap(), world.client.capture("eth0").unwrap()];
    let translator = Translator::start(&world.gw);
    let ping = run(&world.client, "ping -n -c 3 -i 0.2 -s 1000 2001:db8:64::c633:6402");
    assert!(ping.contains("3 received") && !ping.contains("DUP"), "{ping}");
    // One, an even and an odd number, the most that is one packet, and fragments both ways.
    udp_echo(&world, &[0, 1, 100, 1001, 1400, 3000, 20_001]);
    server::http(&world.server);
    let sent = noise(&world.server, "down", 3_000_001);
    run(&world.client, "curl -sS -g -m 60 -o /run/down http://[2001:db8:64::c633:6402]/down");
    assert_eq!(sha256(&world.client, "down"), sent);
    run(&world.client, "curl -sS -g -m 60 -H Expect: -T /run/down http://[2001:db8:64::c633:6402]/up");
    assert_eq!(sha256(&world.server, "up"), sent);

    // Nobody listens: the answer is a reset, and for UDP an ICMP error, which comes back translated.
    let refused =
        world.client.spawn(&Command::new("curl").args(["-sS", "-g", "http://[2001:db8:64::c633:6402]:9/"]));
    let refused = refused.unwrap();
    assert_eq!(refused.wait(PATIENCE).unwrap().code(), Some(7), "{}", refused.output());
    let nobody = || {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((world::translated(SERVER), 9)).unwrap();
        socket.send(b"anybody?").unwrap();
        socket.recv(&mut [0; 10]).unwrap_err()
    };
    let error = world.client.run(nobody);
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);

    captures[1].wait_fields("icmpv6.type == 1 && icmpv6.code == 4", &["frame.number"], 1, PATIENCE).unwrap();
    for capture in &captures {
        capture.stop().unwrap();
        // Where the kernel computes a checksum for the device and it is 0, it writes 0xffff, for TCP too (skb_checksum_help):
        // the same number in ones' complement, one packet in 65,536, and tshark calls it bad.
        let bad = "ip.checksum.status == 0 || (tcp.checksum.status == 0 && tcp.checksum != 0xffff) || \
                   udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0";
        assert_eq!(verified(capture, bad), 0, "{}", capture.file().display());
        // Were checksums not looked at, there would be none that are good.
        assert!(verified(capture, "tcp.checksum.status == 1") > 1000);
        assert!(verified(capture, "udp.checksum.status == 1") > 5);
    }
    assert!(
        captures[0].fields("ipv6 && !icmpv6", &["frame.number"]).unwrap().is_empty(),
        "the server's side is IPv4"
    );
    assert!(
        captures[1].fields("ip && !icmpv6", &["frame.number"]).unwrap().is_empty(),
        "the client's side is IPv6"
    );
    let view = translator.stop();
    assert_eq!(counter(&view, "not-sent"), 0, "{view}");
}

/// Datagrams in quick succession leave as superpackets of our own; a link that cannot take those gets what was sent, each with
/// its length and a right checksum.
#[test]
fn bursts_are_gathered_and_cut_again() {
    const BURST: usize = 50;
    let world = World::with("nat64-burst", Duration::ZERO, Duration::from_millis(1));
    let capture = world.server.capture("eth0").unwrap();
    let translator = Translator::start(&world.gw);
    udp_echo(&world, &[10]);
    let port = server::echo(&world.server);
    let bursts = move || {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((world::translated(SERVER), port)).unwrap();
        for round in 0..20_usize {
            // All of one length, or each of another; the last shorter.
            let length =
                |n: usize| 200 + if round % 2 == 0 { 0 } else { n } - if n == BURST - 1 { 100 } else { 0 };
            let sent: Vec<Vec<u8>> = (0..BURST).map(|n| vec![(round * 7 + n) as u8; length(n)]).collect();
            for datagram in &sent {
                socket.send(datagram).unwrap();
            }
            let mut received: Vec<Vec<u8>> = (0..BURST)
                .map(|_| {
                    let mut buffer = vec![0; 2000];
                    let length = socket.recv(&mut buffer).unwrap();
                    buffer.truncate(length);
                    buffer
                })
                .collect();
            received.sort();
            let mut sent = sent;
            sent.sort();
            assert_eq!(received, sent, "round {round}");
        }
    };
    world.client.thread(bursts).unwrap().join().unwrap();
    let view = translator.stop();
    assert!(counter(&view, "gathered") > 100, "{view}");
    assert_eq!(counter(&view, "not-sent"), 0, "{view}");
    capture.stop().unwrap();
    assert_eq!(verified(&capture, "udp.checksum.status == 0 || ip.checksum.status == 0"), 0);
    assert!(verified(&capture, "udp.checksum.status == 1 && ip.src == 192.0.2.0/29") > 10 * BURST);
}

/// A narrower link behind the translator, or before it: senders hear of it, and what they send arrives.
#[test]
fn path_mtu_is_found_both_ways() {
    // Of the route, not of the link: that one end of a veth pair takes less than the other sends is no path that exists.
    for (side, narrow) in [
        (
            "server",
            "ip route replace 198.51.100.0/24 dev wan0 proto kernel scope link src 198.51.100.1 mtu 1300",
        ),
        ("client", "ip -6 route replace 2001:db8:1::/64 dev lan0 proto kernel metric 256 mtu 1300"),
    ] {
        let world = World::new(&format!("nat64-mtu-{side}"), Duration::ZERO);
        let translator = Translator::start(&world.gw);
        run(&world.gw, narrow);
        server::http(&world.server);
        let sent = noise(&world.server, "down", 5_000_000);
        run(&world.client, "curl -sS -g -m 60 -o /run/down http://[2001:db8:64::c633:6402]/down");
        assert_eq!(sha256(&world.client, "down"), sent, "{side}");
        run(&world.client, "curl -sS -g -m 60 -H Expect: -T /run/down http://[2001:db8:64::c633:6402]/up");
        assert_eq!(sha256(&world.server, "up"), sent, "{side}");
        let cache = match side {
            "server" => run(&world.client, "ip -6 route get 2001:db8:64::c633:6402"),
            // Which address of the pool it was, the translator chose.
            _ => (0..8).map(|n| run(&world.server, &format!("ip -4 route get 192.0.2.{n}"))).collect(),
        };
        // 20 octets lie between the headers.
        let learnt = if side == "server" { "mtu 1320" } else { "mtu 1280" };
        assert!(cache.contains(learnt), "{side}: {cache}");
        drop(translator);
    }
}

/// What `sixgate` set goes when it stops, and when it is killed.
#[test]
fn nothing_is_left() {
    let world = World::new("nat64-left", Duration::ZERO);
    let state = || ["-br link", "-6 route", "route"].map(|what| run(&world.gw, &format!("ip {what}")));
    let carrier = || state()[0].lines().filter(|line| line.contains(" UP ")).count() == 2;
    wait_for("both links to be up", PATIENCE, carrier).unwrap();
    let before = state();
    let translator = Translator::start(&world.gw);
    assert_ne!(state(), before);
    let _ = translator.stop();
    assert_eq!(state(), before);
    let translator = Translator::start(&world.gw);
    assert!(run(&world.gw, "ip -6 route").contains("2001:db8:64::/96 dev nat64"));
    translator.kill();
    wait_for("the device to go", PATIENCE, || state() == before).unwrap();
}

/// The command line says what cannot be, and why.
#[test]
fn mistakes_are_explained() {
    let world = World::new("nat64-wrong", Duration::ZERO);
    for (arguments, expected) in [
        ("--pool 10.0.0.0/8 --address ::1", "shares the addresses of a /24 at most"),
        ("--pool 192.0.2.0/29 --address ::1 --prefix 64:ff9b::/95", "32, 40, 48, 56, 64 or 96 bits, not 95"),
        ("--pool 192.0.2.0/29 --address ::1 --device lan0", "cannot make the TUN device lan0"),
    ] {
        let command = Command::new(world::SIXGATE).args(["lab", "nat64"]).args(arguments.split(' '));
        let process = world.gw.spawn(&command).unwrap();
        assert!(!process.wait(PATIENCE).unwrap().success());
        assert!(process.output().contains(expected), "{}", process.output());
    }
}

/// `up` with `[nat64]`: one section, and the hosts of the LAN reach IPv4 behind the uplink's address.
#[test]
fn up_translates_and_cleans_up() {
    let world = World::new("nat64-up", Duration::ZERO);
    run(&world.gw, "ip -6 address del 2001:db8:1::1/64 dev lan0");
    run(&world.server, "ip route del 192.0.2.0/29");
    world.gw.set_forwarding(false).unwrap();
    world.gw.sysctl("net/ipv4/conf/all/accept_redirects", "0").unwrap();
    let settings = "grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf/all --include=forwarding \
                    --include=accept_redirects";
    let state = || {
        ["ip -br link", "ip -6 route", "ip route", "nft list ruleset", settings]
            .map(|line| run(&world.gw, line))
    };
    let carrier = || state()[0].lines().filter(|line| line.contains(" UP ")).count() == 2;
    wait_for("both links to be up", PATIENCE, carrier).unwrap();
    let before = state();
    let capture = world.server.capture("eth0").unwrap();
    server::http(&world.server);
    let sent = noise(&world.server, "down", 10_000_000);

    let up = world::Up::start(&world.gw);
    // Nothing but what comes from the uplink and from the translator is forwarded over IPv4.
    let forwards = ["all", "lan0", "wan0", "nat64"]
        .map(|name| world.gw.read_file(format!("/proc/sys/net/ipv4/conf/{name}/forwarding")).unwrap());
    assert_eq!(forwards, ["0\n", "0\n", "1\n", "1\n"]);
    let problems = up.status()["problems"].to_string();
    assert!(problems.contains("NAT64 leads nowhere: this machine has no IPv4 default route"), "{problems}");
    run(&world.gw, "ip route add default via 198.51.100.2");
    assert_eq!(up.status()["problems"].to_string(), "[]");
    let reachable = || {
        let ping = Command::new("ping").args(["-n", "-c", "1", "-W", "1", "2001:db8:64::c633:6402"]);
        world.client.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success()
    };
    wait_for("the server to answer", PATIENCE, reachable).unwrap();
    run(&world.client, "curl -sS -g -m 60 -o /run/down http://[2001:db8:64::c633:6402]/down");
    assert_eq!(sha256(&world.client, "down"), sent);
    udp_echo(&world, &[1, 1400, 3000]);
    let sources = capture.wait_fields("icmp.type == 8", &["ip.src"], 1, PATIENCE).unwrap();
    assert!(sources.iter().all(|source| source[0] == "198.51.100.1"), "{sources:?}");
    let view = &up.status()["nat64"];
    assert!(counter(view, "superpackets") > 0 && counter(view, "not-sent") == 0, "{view}");
    let table = run(&world.gw, &format!("{} status", world::SIXGATE));
    assert!(table.contains("nat64 2001:db8:64::/96 pool 192.168.64.0 to 192.168.64.15 sessions "), "{table}");

    up.stop();
    run(&world.gw, "ip route del default");
    assert_eq!(state(), before);
    run(&world.gw, "rm -r /run/sixgate/state");
    // A run that is killed leaves its rules and settings to the next one, and no device.
    let up = world::Up::start(&world.gw);
    // What was before is written down a moment after it was changed; a run that is killed sooner loses it.
    let recorded = || {
        let grep = Command::new("grep").args(["-raq", "forwarding-ipv4", "/run/sixgate/state"]);
        world.gw.spawn(&grep).unwrap().wait(PATIENCE).unwrap().success()
    };
    wait_for("the record of what was before", PATIENCE, recorded).unwrap();
    up.kill();
    let gone = || !run(&world.gw, "ip -br link").contains("nat64");
    wait_for("the device to go", PATIENCE, gone).unwrap();
    world::Up::start(&world.gw).stop();
    assert_eq!(state(), before);
}
