//! `network::Changes` against the kernel of a lab: real changes made by `ip`, and radvd's refreshes, which
//! are none.
#![cfg(feature = "net")]
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::network::Changes;
use sixgate_lab::{AcceptRa, Command, Host, Lab, Link, root_for_tests};
use std::env;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn sh(host: &Host, script: &str) {
    let process = host.spawn(&Command::new("sh").args(["-ec", script])).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{script}: {}", process.output());
}

/// Waits until nothing more is told: the kernel finishes some changes later (detection of duplicates, a
/// carrier).
fn settle(changes: &mut Changes) {
    settle_for(changes, Duration::from_millis(1500));
}

fn settle_for(changes: &mut Changes, quiet: Duration) {
    let begin = Instant::now();
    while changes.wait(quiet).unwrap() {
        assert!(begin.elapsed() < PATIENCE, "the network does not come to rest");
    }
}

fn two(name: &str) -> (Lab, Host, Host) {
    root_for_tests().unwrap();
    let lab = Lab::new(name).unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    lab.link(Link::between((&a, "eth0"), (&b, "eth0"))).unwrap();
    (lab, a, b)
}

#[test]
fn every_change_is_told_and_nothing_else() {
    let (_lab, a, _b) = two("changes");
    a.wait_link_local("eth0", PATIENCE).unwrap();
    sh(&a, "ip address add 192.0.2.1/24 dev eth0; ip route add 198.51.100.0/24 via 192.0.2.9");
    let mut changes = a.run(Changes::open).unwrap();
    settle(&mut changes);
    for script in [
        "ip address add 192.0.2.2/24 dev eth0",
        "ip address del 192.0.2.2/24 dev eth0",
        "ip address add 2001:db8::1/64 dev eth0 nodad",
        "ip address change 2001:db8::1/64 dev eth0 valid_lft 1000 preferred_lft 0",
        "ip address change 2001:db8::1/64 dev eth0 valid_lft 1000 preferred_lft 500",
        "ip route add default via 192.0.2.9",
        "ip route replace default via 192.0.2.8",
        "ip route replace default via 192.0.2.9",
        "ip route del default",
        "ip -6 route add default via fe80::1 dev eth0",
        "ip -6 route append default via fe80::2 dev eth0",
        "ip -6 route del default via fe80::1 dev eth0",
        "ip -6 route replace unreachable 2001:db8:9::/48",
        "ip link set eth0 mtu 1400",
        "ip link set eth0 mtu 1500",
        "ip link set eth0 down",
        "ip link set eth0 up",
        "ip link add dum0 type veth peer dumb",
        "ip link set dum0 name dum1",
        "ip link del dum1",
    ] {
        sh(&a, script);
        assert!(changes.wait(PATIENCE).unwrap(), "not told: {script}");
        // A carrier is told up to a second after its link.
        settle_for(&mut changes, Duration::from_millis(if script.contains("link") { 1500 } else { 100 }));
        assert!(!changes.changed());
    }
    // Told again without a difference. A change of a link forgets its routes, so they are learnt first.
    sh(&a, "ip address add 192.0.2.7/24 dev eth0; ip route add 203.0.113.0/24 via 192.0.2.9");
    settle(&mut changes);
    for script in [
        "ip address change 2001:db8::5/64 dev eth0 valid_lft 900 preferred_lft 400 nodad",
        "ip address change 192.0.2.7/24 dev eth0 valid_lft 900 preferred_lft 400",
        "ip link set eth0 promisc on",
        "ip link set eth0 promisc off",
    ] {
        if script.contains("2001:db8::5") {
            sh(&a, "ip address add 2001:db8::5/64 dev eth0 nodad valid_lft 1000 preferred_lft 500");
            settle(&mut changes);
        }
        // The kernel does tell of it: another listener hears it.
        let monitor =
            a.spawn(&Command::new("ip").args(["-o", "monitor", "link", "address", "route"])).unwrap();
        let mut listening = 0;
        while listening < 1 {
            sh(&a, "ip link set lo txqueuelen 1000; ip link set lo txqueuelen 1001");
            listening = monitor.output().lines().count();
        }
        assert!(!changes.changed(), "the length of a queue is no change of the network");
        let heard = monitor.output().lines().filter(|line| line.contains("eth0")).count();
        sh(&a, script);
        sixgate_lab::wait_for("the kernel tells", PATIENCE, || {
            monitor.output().lines().filter(|line| line.contains("eth0")).count() > heard
        })
        .unwrap();
        assert!(!changes.changed(), "told: {script}\n{}", monitor.output());
        monitor.kill().unwrap();
    }
    sh(&a, "ip route replace 203.0.113.0/24 via 192.0.2.9");
    assert!(!changes.changed(), "the same route");
    assert_eq!((changes.overruns(), changes.unremembered()), (0, 0));
}

#[test]
fn advertisements_refresh_and_do_not_change() {
    let (_lab, host, router) = two("refresh");
    host.set_accept_ra("eth0", AcceptRa::Host).unwrap();
    router.set_forwarding(true).unwrap();
    router.wait_link_local("eth0", PATIENCE).unwrap();
    router.add_address_nodad("eth0", "2001:db8:1::1/64".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let config = |lifetime: u32, seconds: u32| {
        format!(
            "interface eth0 {{ AdvSendAdvert on;
               MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime {lifetime};
               prefix 2001:db8:1::/64 {{ AdvValidLifetime {seconds}; AdvPreferredLifetime {seconds}; }};
               route 2001:db8:f::/48 {{ AdvRouteLifetime {seconds}; }}; }};"
        )
    };
    let radvd = |text: String| {
        router.write_file("/run/radvd.conf", text).unwrap();
        router
            .spawn(&Command::new("radvd").args([
                "-n",
                "-C",
                "/run/radvd.conf",
                "-p",
                "/run/radvd.pid",
                "-m",
                "stderr",
            ]))
            .unwrap()
    };
    let running = radvd(config(1800, 7200));
    host.wait_address("eth0", |address| address.segments()[1] == 0xdb8, PATIENCE)
        .unwrap_or_else(|error| panic!("{error}\n{}", running.output()));
    settle(&mut host.run(Changes::open).unwrap());
    // From here on nothing changes: what is there was read at once, and its first refresh is none.
    let mut changes = host.run(Changes::open).unwrap();

    // The kernel announces each refresh of the address; this is the witness that there were some.
    let monitor = host.spawn(&Command::new("ip").args(["-o", "-6", "monitor", "address", "route"])).unwrap();
    let refreshes = || monitor.output().lines().filter(|line| line.contains("2001:db8:1:")).count();
    sixgate_lab::wait_for("three refreshes", PATIENCE, || {
        assert!(!changes.changed(), "a refresh was told:\n{}", monitor.output());
        refreshes() >= 3
    })
    .unwrap();
    assert!(!changes.changed());

    // Other lifetimes are no change either; an end of the router is.
    running.signal(sixgate_lab::Signal::SIGKILL).unwrap();
    running.wait(PATIENCE).unwrap();
    let (before, running) = (refreshes(), radvd(config(1700, 7000)));
    sixgate_lab::wait_for("refreshes with other lifetimes", PATIENCE, || {
        assert!(!changes.changed(), "other lifetimes were told:\n{}", monitor.output());
        refreshes() >= before + 2
    })
    .unwrap();
    // radvd says goodbye with a lifetime of 0 (RFC 4861 section 6.2.5): the default route goes.
    running.stop(PATIENCE).unwrap();
    assert!(changes.wait(PATIENCE).unwrap());
}

#[test]
fn news_that_were_dropped_are_a_change() {
    let (_lab, a, _b) = two("overrun");
    let mut changes = a.run(Changes::open).unwrap();
    settle(&mut changes);
    assert_eq!(changes.overruns(), 0);
    // More than fits the socket's buffer, and back to what was.
    sh(
        &a,
        "for n in $(seq 4000); do echo route add 198.18.$((n / 250)).$((n % 250))/32 dev lo; done > /run/add
         sed s/add/del/ /run/add > /run/del
         ip -batch /run/add; ip -batch /run/del",
    );
    assert!(changes.changed());
    assert!(changes.overruns() > 0);
    settle(&mut changes);
    sh(&a, "ip route replace 198.18.0.1/32 dev lo");
    assert!(changes.wait(PATIENCE).unwrap());
}

/// No test of its own: this program executed again in a host, without netlink.
#[test]
fn says_that_there_is_no_netlink() {
    if env::var_os("SIXGATE_TEST_NO_NETLINK").is_none() {
        return;
    }
    sixgate_linux::sandbox::refuse_family(16).unwrap();
    let error = Changes::open().unwrap_err();
    println!("said: {error}");
}

#[test]
fn a_sandbox_without_netlink_gets_a_sentence() {
    let (_lab, a, _b) = two("nonetlink");
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", "says_that_there_is_no_netlink", "--nocapture"])
        .env("SIXGATE_TEST_NO_NETLINK", "1");
    let process = a.spawn(&again).unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    assert!(process.output().contains("said: the kernel does not tell of changes of the network (netlink: "));
    assert!(process.output().contains("forget what was learnt"), "{}", process.output());
}
