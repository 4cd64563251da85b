//! `sixgate clat` on a host.

use crate::server;
use crate::world::{Clat, PATIENCE, SIXGATE, Up, World, noise, python, run, sha256, spawn, state, succeeds};
use sixgate_lab::{Host, wait_for};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

/// Echoes datagrams of these lengths off the server, over IPv4 sockets.
fn udp_echo(host: &Host, server: &Host, lengths: &[usize]) {
    let port = server::echo(server);
    let lengths = lengths.to_vec();
    let echo = move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for length in lengths {
            let sent: Vec<u8> = (0..length).map(|n| (n * 31 + n / 256) as u8).collect();
            socket.send_to(&sent, (SERVER, port)).unwrap();
            let mut received = vec![0; 65_536];
            let count = socket.recv(&mut received).unwrap_or_else(|e| panic!("{length} octets: {e}"));
            assert_eq!(&received[..count], sent, "{length} octets");
        }
    };
    host.thread(echo).unwrap().join().unwrap();
}

/// The router tells the prefix; programs that know IPv4 alone work.
#[test]
fn programs_reach_ipv4() {
    let world = World::new("clat-host");
    let up = Up::gateway(&world.gw, "", "[nat64]\nprefix = \"2001:db8:64::/96\"");
    world
        .phone
        .wait_address("eth0", |address| address.segments()[..3] == [0x2001, 0xdb8, 1], PATIENCE)
        .unwrap();
    let routed = || run(&world.phone, "ip -6 route").contains("default via fe80");
    wait_for("the phone's default route", PATIENCE, routed).unwrap();
    let before = state(&world.phone);
    assert!(!succeeds(&world.phone, "curl -sS -m 5 http://198.51.100.10/down"));

    let capture = world.phone.capture("eth0").unwrap();
    let clat = Clat::start(&world.phone, "");
    let on = clat.wait("on", "", "");
    assert_eq!(
        (&on["learnt"], &on["prefix"], &on["ipv4"], &on["mtu"], &on["interface"]),
        (&"pref64".into(), &"2001:db8:64::/96".into(), &"192.0.0.1".into(), &1480.into(), &"eth0".into())
    );
    let own = on["address"].as_str().unwrap();

    server::http(&world.server);
    python(&world.server, 8080);
    let sent = noise(&world.server, "down", 1_000_001);
    run(&world.phone, "curl -sS -m 60 -o /run/down http://198.51.100.10:8080/down");
    assert_eq!(sha256(&world.phone, "down"), sent);
    run(&world.phone, "curl -sS -m 60 -H Expect: -T /run/down http://198.51.100.10/up");
    assert_eq!(sha256(&world.server, "up"), sent);
    let ping = run(&world.phone, "ping -n -c 3 -i 0.2 -s 1000 198.51.100.10");
    assert!(ping.contains("3 received") && !ping.contains("DUP"), "{ping}");
    // The most that one packet holds, and fragments both ways. (What lies between is one packet of the server's that does not fit.)
    udp_echo(&world.phone, &world.server, &[0, 1, 1000, 1452, 1473, 3000, 20_001]);
    // Nobody listens: a reset, and an ICMP error that comes back translated.
    let refused = spawn(&world.phone, "curl -sS http://198.51.100.10:9/");
    assert_eq!(refused.wait(PATIENCE).unwrap().code(), Some(7), "{}", refused.output());
    let error = world.phone.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((SERVER, 9)).unwrap();
        socket.send(b"anybody?").unwrap();
        socket.recv(&mut [0; 10]).unwrap_err()
    });
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);

    // The phone itself says nothing from the CLAT's address but what neighbours need, and is no router.
    capture.stop().unwrap();
    assert!(capture.fields("ip && !icmpv6", &["frame.number"]).unwrap().is_empty(), "no IPv4 on the link");
    assert!(capture.fields("arp", &["frame.number"]).unwrap().is_empty(), "no ARP on the link");
    let resets =
        capture.fields(&format!("ipv6.src == {own} && tcp.flags.reset == 1"), &["frame.number"]).unwrap();
    assert!(resets.is_empty(), "{resets:?}");
    let detected = format!("icmpv6.type == 135 && ipv6.src == :: && icmpv6.nd.ns.target_address == {own}");
    assert!(
        !capture.fields(&detected, &["frame.number"]).unwrap().is_empty(),
        "no duplicate address detection"
    );
    // A program that chooses IPv6 does not get the CLAT's address.
    assert!(!run(&world.phone, "ip -6 route get 2001:db8:1::1").contains(own));
    // What the address is asked for otherwise is answered by the translator: it is for nobody.
    let asked = spawn(&world.gw, &format!("ping -n -c 1 -W 5 {own}"));
    asked.wait(PATIENCE).unwrap();
    assert!(asked.output().contains("Administratively prohibited"), "{}", asked.output());

    let stopped = clat.stop();
    assert_eq!(stopped["counters"]["not-sent"], 0, "{stopped}");
    assert_eq!(state(&world.phone), before);
    up.stop();
}

/// A narrow link beyond the NAT64: senders hear of it, both ways.
#[test]
fn path_mtu_is_found() {
    let world = World::with("clat-mtu", Duration::ZERO);
    let _up = Up::gateway(&world.gw, "", "[nat64]\nprefix = \"2001:db8:64::/96\"");
    run(
        &world.gw,
        "ip route replace 198.51.100.0/24 dev wan0 proto kernel scope link src 198.51.100.1 mtu 1300",
    );
    let clat = Clat::start(&world.phone, "--interface eth0");
    clat.wait("on", "", "");
    server::http(&world.server);
    let sent = noise(&world.server, "down", 50_000_000);
    run(&world.phone, "curl -sS -m 60 -o /run/down http://198.51.100.10/down");
    assert_eq!(sha256(&world.phone, "down"), sent);
    run(&world.phone, "curl -sS -m 60 -H Expect: -T /run/down http://198.51.100.10/up");
    assert_eq!(sha256(&world.server, "up"), sent);
    let cache = run(&world.phone, "ip route get 198.51.100.10");
    assert!(cache.contains("mtu 1300"), "{cache}");
    // On links that leave it to the receiver, what is many packets comes as one.
    let stopped = clat.stop();
    assert!(stopped["counters"]["superpackets"].as_u64() > Some(0), "{stopped}");
}

/// tayga as the provider's translator; no router tells its prefix, but DNS does (RFC 7050).
#[test]
fn tayga_and_the_prefix_by_dns() {
    let world = World::new("clat-tayga");
    let _up = Up::gateway(&world.gw, "", "[dns]\ndns64 = \"2001:db8:64::/96\"");
    world
        .gw
        .write_file(
            "/run/tayga.conf",
            "tun-device plat\nipv4-addr 192.0.2.1\nipv6-addr 2001:db8:2::64\nprefix 2001:db8:64::/96\n\
             dynamic-pool 192.0.2.0/24\n",
        )
        .unwrap();
    let _tayga = spawn(&world.gw, "tayga --nodetach --config /run/tayga.conf");
    let made = || world.gw.run(|| std::path::Path::new("/proc/sys/net/ipv6/conf/plat").exists());
    wait_for("tayga's interface", PATIENCE, made).unwrap();
    for line in [
        "ip link set plat up",
        "ip -6 route add 2001:db8:64::/96 dev plat",
        "ip route add 192.0.2.0/24 dev plat",
        "sysctl -w net.ipv4.conf.all.forwarding=1",
        // It comes from outside, and is no answer to what the rules have seen: tayga's packets are another connection.
        "nft flush table inet sixgate",
    ] {
        run(&world.gw, line);
    }
    world.phone.write_file("/etc/resolv.conf", "nameserver 2001:db8:1::1\n").unwrap();
    let clat = Clat::start(&world.phone, "");
    let on = clat.wait("on", "", "");
    assert_eq!((&on["learnt"], &on["prefix"]), (&"dns".into(), &"2001:db8:64::/96".into()));
    python(&world.server, 80);
    let sent = noise(&world.server, "down", 10_000_000);
    run(&world.phone, "curl -sS -m 60 -o /run/down http://198.51.100.10/down");
    assert_eq!(sha256(&world.phone, "down"), sent);
    let ping = run(&world.phone, "ping -n -c 3 -i 0.2 -s 1000 198.51.100.10");
    assert!(ping.contains("3 received"), "{ping}");
    udp_echo(&world.phone, &world.server, &[1, 1200, 3000]);
    clat.stop();
}

/// Off while the machine has IPv4, on again after; and what a router says anew is followed.
#[test]
fn it_follows_the_network() {
    let world = World::new("clat-follows");
    let config = |prefix: &str| {
        format!(
            "[[lan]]\ninterface = \"lan0\"\n\
             prefixes = [\"2001:db8:1::/64\"]\npref64 = \"{prefix}\"\n"
        )
    };
    let clat = Clat::start(&world.phone, "");
    let waiting = clat.wait("waiting", "reason", "interface");
    assert!(
        waiting["detail"].as_str().unwrap().contains("no interface has an IPv6 default route"),
        "{waiting}"
    );
    let up = Up::start(&world.gw, &config("2001:db8:64::/96"));
    clat.wait("on", "prefix", "2001:db8:64::/96");

    run(&world.phone, "ip address add 192.168.7.2/24 dev eth0");
    run(&world.phone, "ip route add default via 192.168.7.1 dev eth0 metric 100");
    let off = clat.wait("off", "", "");
    assert_eq!(off["detail"], "the machine has IPv4 of its own: a default route by 192.168.7.1 on eth0");
    assert!(!run(&world.phone, "ip -br link").contains("clat"));
    run(&world.phone, "ip address del 192.168.7.2/24 dev eth0");
    let first = clat.wait("on", "", "");

    up.reload(&config("2001:db8:46::/96"));
    let second = clat.wait("on", "prefix", "2001:db8:46::/96");
    assert_eq!(second["address"], first["address"], "the address need not change");
    // Somebody takes the CLAT's address away: it comes back.
    let own = second["address"].as_str().unwrap();
    run(&world.phone, &format!("ip -6 address del {own}/128 dev eth0"));
    let back = || {
        let all = world.phone.addresses();
        all.iter().any(|address| address.net.addr().to_string() == *own && !address.tentative)
    };
    wait_for("the address to come back", PATIENCE, back).unwrap();
    clat.wait("on", "", "");
    // Or its device.
    run(&world.phone, "ip link del clat");
    let gone = |said: &serde_json::Value| {
        said["reason"] == "failed" && said["detail"].to_string().contains("deleted")
    };
    wait_for("the CLAT to notice", PATIENCE, || clat.said().iter().any(gone)).unwrap();
    clat.wait("on", "", "");
    assert!(run(&world.phone, "ip route").contains("default dev clat"));
    clat.stop();
}

/// Killed, it leaves nothing; and of two on one machine one works.
#[test]
fn nothing_is_left_when_it_is_killed() {
    let world = World::new("clat-killed");
    let _up = Up::gateway(&world.gw, "", "[nat64]\nprefix = \"2001:db8:64::/96\"");
    let routed = || run(&world.phone, "ip -6 route").contains("default via fe80");
    wait_for("the phone's default route", PATIENCE, routed).unwrap();
    world
        .phone
        .wait_address("eth0", |address| address.segments()[..3] == [0x2001, 0xdb8, 1], PATIENCE)
        .unwrap();
    let before = state(&world.phone);
    let clat = Clat::start(&world.phone, "");
    let on = clat.wait("on", "", "");
    assert!(run(&world.phone, "nft list ruleset").contains("not for the machine itself"));
    let second = Clat::start(&world.phone, "");
    let off = second.wait("off", "", "");
    assert_eq!(off["detail"], "the machine has IPv4 of its own: a default route on clat");
    second.stop();
    clat.kill();
    let own = on["address"].as_str().unwrap();
    // Device, IPv4 and rules are gone with the process; the kernel takes the address back by itself.
    let after = state(&world.phone);
    let without = |state: &[String]| {
        state.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(without(&after), without(&before));
    let shown = run(&world.phone, &format!("ip -6 addr show dev eth0 to {own}"));
    let left =
        shown.split_once("valid_lft ").and_then(|(_, rest)| rest.split_once("sec")?.0.parse::<u32>().ok());
    assert!(left.is_some_and(|left| left <= 30), "{shown}");
    // It is not waited for: the kernel's clock is not what is tried here.
    run(
        &world.phone,
        &format!("ip -6 addr change {own}/128 dev eth0 valid_lft 1 preferred_lft 0 noprefixroute"),
    );
    let gone = || !run(&world.phone, "ip -br addr").contains(own);
    wait_for("the address to go", PATIENCE, gone).unwrap();
    assert_eq!(state(&world.phone), before);
}

/// What cannot be is told at once.
#[test]
fn mistakes_are_explained() {
    let world = World::new("clat-wrong");
    for (line, code, expected) in [
        ("clat --interface nope", 3, "there is no interface nope"),
        ("clat --prefix 64:ff9b::/95", 2, "32, 40, 48, 56, 64 or 96 bits, not 95"),
    ] {
        let process = spawn(&world.phone, &format!("{SIXGATE} {line}"));
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(code), "{}", process.output());
        assert!(process.output().contains(expected), "{}", process.output());
    }
    let unprivileged = format!("setpriv --bounding-set -net_raw --inh-caps -net_raw {SIXGATE} clat");
    let process = spawn(&world.phone, &unprivileged);
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3), "{}", process.output());
    assert!(process.output().contains("this process lacks net_raw; run as root"), "{}", process.output());
}
