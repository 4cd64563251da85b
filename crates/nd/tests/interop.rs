//! Both cores against stock peers on a real link: the kernel as the host on our LAN, radvd as the router on our uplink.
//!
//! Each test runs itself again inside a network namespace of its own, so that nothing of the machine's network is
//! touched.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

use core::time::Duration;
use sixgate_nd::host::{self, Host};
use sixgate_nd::router::{self, AdvertisedPrefix, Router};
use sixgate_wire::ndp::HOP_LIMIT;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::process::{Command, Stdio};
use std::time::Instant;

const INSIDE: &str = "SIXGATE_ND_INSIDE";

/// Whether this is the run inside; if not, makes that run and asserts that it goes well.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is needed for this test: install util-linux");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    false
}

fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two ends of one wire, `ours` and `theirs`. Their kernel end takes advertisements; ours does not.
fn wire() {
    sh("mount -t sysfs none /sys 2>/dev/null || true
        ip link set lo up
        ip link add ours type veth peer name theirs
        for end in ours theirs; do
            echo 0 > /proc/sys/net/ipv6/conf/$end/accept_dad
            echo 0 > /proc/sys/net/ipv6/conf/$end/accept_ra
        done
        ip link set ours up
        ip link set theirs up");
    wait("both ends have a link-local address", || {
        sh("ip -6 -o addr show scope link -tentative").matches("fe80::").count() == 2
    });
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A raw ICMPv6 socket on one end.
struct Port {
    socket: Socket,
    scope: u32,
    started: Instant,
}

impl Port {
    fn new(device: &str) -> Self {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        let scope = sh(&format!("cat /sys/class/net/{device}/ifindex")).trim().parse().unwrap();
        socket.bind_device(Some(device.as_bytes())).unwrap();
        socket.set_multicast_hops_v6(u32::from(HOP_LIMIT)).unwrap();
        socket.set_unicast_hops_v6(u32::from(HOP_LIMIT)).unwrap();
        socket.set_multicast_loop_v6(false).unwrap();
        for group in [1, 2] {
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, group);
            socket.join_multicast_v6(&group, scope).unwrap();
        }
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        Self { socket, scope, started: Instant::now() }
    }

    fn now(&self) -> Duration {
        Duration::from_hours(500_000) + self.started.elapsed()
    }

    fn send(&self, destination: Ipv6Addr, bytes: &[u8]) {
        let destination = SocketAddrV6::new(destination, 0, 0, self.scope);
        assert_eq!(self.socket.send_to(bytes, &destination.into()).unwrap(), bytes.len());
    }

    /// What arrived, if anything did within ten milliseconds.
    fn receive(&mut self) -> Option<(Ipv6Addr, Vec<u8>)> {
        let from = self.socket.peek_sender().ok()?;
        let mut bytes = vec![0; 2000];
        let length = self.socket.read(&mut bytes).ok()?;
        bytes.truncate(length);
        Some((*from.as_socket_ipv6()?.ip(), bytes))
    }
}

struct OurRouter {
    router: Router,
    port: Port,
}

impl OurRouter {
    fn turn(&mut self) {
        let mut actions = Vec::new();
        if let Some((from, bytes)) = self.port.receive() {
            self.router.handle(self.port.now(), from, HOP_LIMIT, &bytes, &mut actions);
        }
        let now = self.port.now();
        if self.router.poll_timeout().is_some_and(|due| due <= now) {
            self.router.handle_timeout(now, &mut actions);
        }
        self.act(actions);
    }

    fn act(&self, actions: Vec<router::Action>) {
        for action in actions {
            if let router::Action::Send { destination, bytes } = action {
                self.port.send(destination, &bytes);
            }
        }
    }

    fn prefix(&mut self, text: &str) {
        let now = self.port.now();
        let prefix = AdvertisedPrefix {
            prefix: text.parse().unwrap(),
            on_link: true,
            autonomous: true,
            pd_preferred: false,
            valid_until: now + Duration::from_hours(2),
            preferred_until: now + Duration::from_hours(1),
        };
        self.router.set_prefixes(now, vec![prefix]);
    }
}

fn addresses() -> String {
    sh("ip -6 -o addr show dev theirs scope global")
}

#[test]
fn the_kernel_follows_our_router() {
    if !inside("the_kernel_follows_our_router") {
        return;
    }
    wire();
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("lan.pcap");
    // Not tcpdump: it changes its user, which a user namespace with one user forbids.
    let mut dumpcap = Command::new("dumpcap")
        .args(["-q", "-P", "-i", "ours", "-f", "icmp6", "-w"])
        .arg(&capture)
        .stderr(Stdio::null())
        .spawn()
        .expect("dumpcap is needed for this test: install tshark");
    wait("the capture runs", || capture.metadata().is_ok_and(|file| file.len() >= 24));
    let port = Port::new("ours");
    let config = router::Config {
        mtu: Some(1400),
        hop_limit: 37,
        rdnss: vec!["fe80::53".parse().unwrap()],
        dnssl: vec!["home.arpa".into()],
        captive_portal: Some("https://portal.example/api".into()),
        pref64: Some("64:ff9b::/96".parse().unwrap()),
        routes: vec![router::Route {
            prefix: "fd00::/8".parse().unwrap(),
            preference: sixgate_wire::ndp::Preference::Low,
        }],
        ..router::Config::default()
    };
    let mut lan = OurRouter { router: Router::new(config, fastrand::Rng::with_seed(1)), port };
    let now = lan.port.now();
    lan.prefix("2001:db8:a:1::/64");
    lan.router.set_default_route(now, true);
    lan.router.start(now);
    // Both ends have one kernel, which would not take its own word for a default route.
    sh("cd /proc/sys/net/ipv6/conf/theirs
        echo 1 > accept_ra_from_local; echo 2 > accept_ra; echo 1 > autoconf
        echo 1 > accept_ra_defrtr; echo 1 > accept_ra_pinfo; echo 1 > accept_ra_mtu");
    // Down and up: the kernel solicits.
    sh("ip link set theirs down; ip link set theirs up");
    wait("the kernel has an address and a default route", || {
        lan.turn();
        addresses().contains("2001:db8:a:1:") && sh("ip -6 route show default").contains("dev theirs")
    });
    let text = addresses();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (name, limit) in [("valid_lft", 5400), ("preferred_lft", 2700)] {
        let at = words.iter().position(|word| *word == name).unwrap();
        let seconds: u32 = words[at + 1].trim_end_matches("sec").parse().unwrap();
        assert!((limit - 30..=limit).contains(&seconds), "{text}");
    }
    assert_eq!(sh("cat /proc/sys/net/ipv6/conf/theirs/mtu").trim(), "1400");
    assert_eq!(sh("cat /proc/sys/net/ipv6/conf/theirs/hop_limit").trim(), "37");
    wait("a solicitation of the kernel's arrives", || {
        lan.turn();
        lan.router.counters().solicitations > 0
    });
    assert_eq!(lan.router.counters().invalid, 0);

    // Another prefix: the old one deprecated, the new one preferred.
    lan.prefix("2001:db8:b:1::/64");
    let begin = Instant::now();
    wait("the new prefix has taken over", || {
        lan.turn();
        let addresses = addresses();
        let old = addresses.lines().find(|line| line.contains("2001:db8:a:1:")).unwrap_or_default();
        let new = addresses.lines().find(|line| line.contains("2001:db8:b:1:")).unwrap_or_default();
        old.contains("deprecated") && !new.is_empty() && !new.contains("deprecated")
    });
    assert!(begin.elapsed() < Duration::from_secs(5), "at once, within the rate limit");

    // The way out is gone: so is the default route; the addresses stay.
    let now = lan.port.now();
    lan.router.set_default_route(now, false);
    wait("the default route is gone", || {
        lan.turn();
        !sh("ip -6 route show default").contains("dev theirs")
    });
    assert!(addresses().contains("2001:db8:b:1:"));

    let now = lan.port.now();
    lan.router.set_default_route(now, true);
    wait("the default route is back", || {
        lan.turn();
        sh("ip -6 route show default").contains("dev theirs")
    });
    let mut actions = Vec::new();
    lan.router.stop(lan.port.now(), &mut actions);
    lan.act(actions);
    wait("nothing is left that new connections would use", || {
        let preferred = addresses().lines().filter(|line| !line.contains("deprecated")).count();
        preferred == 0 && !sh("ip -6 route show default").contains("dev theirs")
    });

    // A file that is being written may end in half a packet, which tshark tells by its exit status.
    let tshark = |filter: &str| sh(&format!("tshark -n -r {} -Y '{filter}' || true", capture.display()));
    wait("all five advertisements are in the capture", || {
        tshark("icmpv6.type == 134 && ipv6.hlim == 255 && icmpv6.opt.rdnss").lines().count() >= 5
    });
    sh(&format!("kill -TERM {}", dumpcap.id()));
    dumpcap.wait().unwrap();
    let complaints =
        "_ws.malformed || _ws.expert.severity >= \"Warning\" || icmpv6.checksum.status != \"Good\"";
    assert_eq!(sh(&format!("tshark -n -r {} -Y '{complaints}'", capture.display())), "");
}

const RADVD: &str = "
interface theirs {
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 10;
    AdvManagedFlag on;
    AdvOtherConfigFlag on;
    AdvDefaultPreference high;
    AdvDefaultLifetime 600;
    AdvLinkMTU 1444;
    AdvCurHopLimit 61;
    AdvReachableTime 20000;
    AdvRetransTimer 700;
    prefix 2001:db8:c:1::/64 { AdvOnLink on; AdvAutonomous on; AdvPreferredLifetime 1000; AdvValidLifetime 2000; };
    prefix 2001:db8:c:2::/64 { AdvOnLink off; AdvAutonomous on; AdvPreferredLifetime infinity; AdvValidLifetime infinity; };
    prefix 2001:db8:c:3::/64 { AdvOnLink on; AdvAutonomous off; };
    route fd00:7::/48 { AdvRoutePreference low; AdvRouteLifetime 500; };
    RDNSS 2001:db8:c::53 fe80::53 { AdvRDNSSLifetime 400; };
    DNSSL isp.example home.arpa { AdvDNSSLLifetime 300; };
};
";

#[test]
fn our_host_follows_radvd() {
    if !inside("our_host_follows_radvd") {
        return;
    }
    wire();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).into_os_string();
    std::fs::write(path("radvd.conf"), RADVD).unwrap();
    sh("echo 1 > /proc/sys/net/ipv6/conf/theirs/forwarding");
    let mut radvd = Command::new("radvd")
        .args(["--nodaemon", "--logmethod", "stderr", "--config"])
        .arg(path("radvd.conf"))
        .arg("--pidfile")
        .arg(path("radvd.pid"))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("radvd is needed for this test: install the package of that name");

    let mut port = Port::new("ours");
    let config =
        host::Config { interface_id: Some([0, 0, 0, 0, 0, 0, 0, 9]), link_layer: None, interface_mtu: 1500 };
    let mut host = Host::new(config, fastrand::Rng::with_seed(1));
    host.start(port.now());
    let mut turn = |host: &mut Host| {
        let mut actions = Vec::new();
        if let Some((from, bytes)) = port.receive() {
            host.handle(port.now(), from, HOP_LIMIT, &bytes, &mut actions);
        }
        let now = port.now();
        if host.poll_timeout().is_some_and(|due| due <= now) {
            host.handle_timeout(now, &mut actions);
        }
        for action in actions {
            if let host::Action::Send { destination, bytes } = action {
                port.send(destination, &bytes);
            }
        }
        now
    };
    wait("radvd is heard", || {
        turn(&mut host);
        !host.state().default_routers.is_empty()
    });
    let now = turn(&mut host);
    let state = host.state();
    let left = |until: Duration| (until - now).as_secs_f64().ceil();
    let close = |until: Duration, want: f64| assert!((want - 20.0..=want).contains(&left(until)), "{want}");
    assert_eq!(state.default_routers[0].preference, sixgate_wire::ndp::Preference::High);
    close(state.default_routers[0].until, 600.0);
    assert!(state.managed && state.other);
    assert_eq!((state.mtu, state.hop_limit), (Some(1444), Some(61)));
    assert_eq!(state.reachable_time, Some(Duration::from_secs(20)));
    assert_eq!(state.retrans_timer, Some(Duration::from_millis(700)));
    let prefixes: Vec<_> = state.prefixes.iter().map(|p| p.prefix.to_string()).collect();
    assert_eq!(prefixes, ["2001:db8:c:1::/64", "2001:db8:c:3::/64"]);
    let addresses: Vec<_> = state.addresses.iter().map(|a| a.address.to_string()).collect();
    assert_eq!(addresses, ["2001:db8:c:1::9", "2001:db8:c:2::9"]);
    close(state.addresses[0].preferred_until, 1000.0);
    close(state.addresses[0].valid_until, 2000.0);
    assert_eq!(state.addresses[1].valid_until, Duration::MAX);
    assert_eq!(state.routes[0].prefix.to_string(), "fd00:7::/48");
    assert_eq!(state.routes[0].preference, sixgate_wire::ndp::Preference::Low);
    close(state.routes[0].until, 500.0);
    let resolvers: Vec<_> = state.rdnss.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(resolvers, ["2001:db8:c::53", "fe80::53"]);
    close(state.rdnss[0].until, 400.0);
    let domains: Vec<_> = state.dnssl.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(domains, ["isp.example", "home.arpa"]);
    assert_eq!((host.counters().invalid, host.counters().refused), (0, 0));

    // radvd says good-bye with a lifetime of zero.
    sh(&format!("kill -TERM {}", radvd.id()));
    wait("radvd is no default router any more", || {
        turn(&mut host);
        host.state().default_routers.is_empty()
    });
    radvd.wait().unwrap();
    let solicited = host.counters().solicitations;
    wait("a router is looked for again", || {
        turn(&mut host);
        host.counters().solicitations > solicited
    });
}
