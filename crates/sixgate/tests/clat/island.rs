//! `[ipv4]` of `up`: hosts that have IPv4 alone, behind an uplink with or without it, and beside hosts that have IPv6 alone.

use crate::server;
use crate::world::{Clat, PATIENCE, SIXGATE, Up, noise, python, run, sha256, spawn, state, succeeds};
use ipnet::IpNet;
use sixgate_lab::{AcceptRa, Host, Lab, Link, root_for_tests, wait_for};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

/// ```text
///   printer --+             (IPv4 alone)
///             +-- lan0 gw wan0 ---- lan0 isp wan0 ---- eth0 server
///   laptop  --+   192.168.1.1               198.51.100.1    .10
/// ```
struct Home {
    printer: Host,
    laptop: Host,
    gw: Host,
    isp: Host,
    server: Host,
    _lab: Lab,
}

impl Home {
    fn new(name: &str) -> Self {
        root_for_tests().expect("tests need root or user namespaces");
        let lab = Lab::new(name).unwrap();
        let [printer, laptop, gw, isp, server] =
            ["printer", "laptop", "gw", "isp", "server"].map(|name| lab.host(name).unwrap());
        laptop.set_accept_ra("default", AcceptRa::Host).unwrap();
        laptop.sysctl("net/ipv6/conf/default/accept_ra_rt_info_max_plen", "128").unwrap();
        printer.sysctl("net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        printer.sysctl("net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        let segment = lab.segment("lan").unwrap();
        segment.attach(&printer, "eth0").unwrap();
        segment.attach(&laptop, "eth0").unwrap();
        segment.attach(&gw, "lan0").unwrap();
        drop(segment);
        lab.link(Link::between((&gw, "wan0"), (&isp, "lan0"))).unwrap();
        lab.link(Link::between((&isp, "wan0"), (&server, "eth0"))).unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        printer.add_address("eth0", net("192.168.1.50/24")).unwrap();
        printer.add_route(net("0.0.0.0/0"), Some("192.168.1.1".parse::<IpAddr>().unwrap()), "eth0").unwrap();
        isp.add_address("wan0", net("198.51.100.1/24")).unwrap();
        server.add_address("eth0", net("198.51.100.10/24")).unwrap();
        run(&isp, "ip route add default via 198.51.100.254 dev wan0 onlink");
        Self { printer, laptop, gw, isp, server, _lab: lab }
    }

    /// An ISP that gives IPv6 alone: it delegates, tells the prefix of its NAT64, and translates.
    fn isp(&self) -> Up {
        Up::start(
            &self.isp,
            "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:f::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
             delegate-length = 56\n[nat64]\nprefix = \"2001:db8:64::/96\"\n",
        )
    }

    fn gateway(&self, rest: &str) -> Up {
        Up::start(&self.gw, &format!("[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n{rest}"))
    }
}

fn reaches(host: &Host, address: &str) -> bool {
    succeeds(host, &format!("ping -n -c 1 -W 1 {address}"))
}

/// An IPv4-only host behind an uplink that has IPv6 alone.
#[test]
fn an_island_reaches_ipv4_without_any() {
    let home = Home::new("island");
    let _isp = home.isp();
    let before = state(&home.gw);
    let capture = home.gw.capture("wan0").unwrap();
    let up = home.gateway("[ipv4]\n");
    let problems = || up.status()["problems"].to_string();
    assert!(problems().contains("no LAN has IPv4"), "{}", problems());
    // Whoever gives the LAN its address, and whenever.
    run(&home.gw, "ip address add 192.168.1.1/24 dev lan0");
    wait_for("the server to answer", PATIENCE, || reaches(&home.printer, "198.51.100.10")).unwrap();
    assert_eq!(problems(), "[]");
    // What the ISP's router tells holds for names, too: its own DNS64 makes nothing for one who validates.
    assert_eq!(up.status()["dns64"], "2001:db8:64::/96");

    server::http(&home.server);
    python(&home.server, 8080);
    let sent = noise(&home.server, "down", 50_000_000);
    run(&home.printer, "curl -sS -m 60 -o /run/down http://198.51.100.10:8080/down");
    assert_eq!(sha256(&home.printer, "down"), sent);
    run(&home.printer, "curl -sS -m 60 -H Expect: -T /run/down http://198.51.100.10/up");
    assert_eq!(sha256(&home.server, "up"), sent);
    let port = server::echo(&home.server);
    let echo = move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for length in [1_usize, 1400, 3000, 20_001] {
            let sent: Vec<u8> = (0..length).map(|n| (n * 31 + n / 256) as u8).collect();
            socket.send_to(&sent, (SERVER, port)).unwrap();
            let mut received = vec![0; 65_536];
            let count = socket.recv(&mut received).unwrap_or_else(|e| panic!("{length} octets: {e}"));
            assert_eq!(&received[..count], sent, "{length} octets");
        }
    };
    home.printer.thread(echo).unwrap().join().unwrap();
    // Nor is the gateway itself cut off.
    assert!(reaches(&home.gw, "198.51.100.10"));
    // Too long for the uplink with its longer header: the host hears of it.
    let ping = spawn(&home.printer, "ping -n -c 2 -W 2 -M do -s 1470 198.51.100.10");
    ping.wait(PATIENCE).unwrap();
    assert!(ping.output().contains("mtu = 1480") || ping.output().contains("mtu=1480"), "{}", ping.output());

    // Not one packet of IPv4 on the uplink, nor a question for its neighbours.
    capture.stop().unwrap();
    let seen = |filter: &str| capture.fields(filter, &["frame.number", "_ws.col.Info"]).unwrap();
    assert_eq!(seen("ip && !icmpv6"), Vec::<Vec<String>>::new());
    assert_eq!(seen("arp"), Vec::<Vec<String>>::new());
    let hosts =
        capture.fields("tcp.flags.syn == 1 && ipv6.dst == 2001:db8:64::c633:640a", &["ipv6.src"]).unwrap();
    assert!(hosts.len() >= 2, "{hosts:?}");
    assert!(hosts.iter().all(|host| host[0].ends_with(":c1a7:c0a8:132")), "{hosts:?}");
    let status = up.status();
    let view = &status["ipv4"];
    assert_eq!((&view["internet"], &view["plat"]), (&"island".into(), &"2001:db8:64::/96".into()), "{view}");
    assert_eq!(view["counters"]["not-sent"], 0, "{view}");
    assert!(view["counters"]["superpackets"].as_u64() > Some(0), "{view}");
    let table = run(&home.gw, &format!("{SIXGATE} status"));
    assert!(table.contains("ipv4 island behind the NAT64 2001:db8:64::/96"), "{table}");
    assert!(table.contains("192.168.1.0/24 on lan0 as 2001:db8:"), "{table}");

    // A host without IPv4 hears of the ISP's NAT64 as well, and helps itself.
    let clat = Clat::start(&home.laptop, "");
    assert_eq!(clat.wait("on", "", "")["learnt"], "pref64");
    run(&home.laptop, "curl -sS -m 60 -o /run/down http://198.51.100.10:8080/down");
    assert_eq!(sha256(&home.laptop, "down"), sent);
    clat.stop();

    // Foreign sources go nowhere, and from outside nobody comes in.
    run(&home.printer, "ip address add 203.0.113.9/32 dev eth0");
    let forged = spawn(&home.printer, "ping -n -c 2 -W 1 -I 203.0.113.9 198.51.100.10");
    assert!(!forged.wait(PATIENCE).unwrap().success());
    assert!(up.status()["firewall"]["spoofed-lan0"]["packets"].as_u64() >= Some(2), "{}", up.status());
    let outside = view["lans"][0]["outside"].as_str().unwrap().replace("100/120", "132");
    assert!(!reaches(&home.isp, &outside), "default deny");

    up.stop();
    run(&home.gw, "ip address del 192.168.1.1/24 dev lan0");
    assert_eq!(state(&home.gw), before);
}

/// A cable that was out: until the ISP's router is heard again, what it told before holds for names.
#[test]
fn names_keep_their_nat64_while_the_uplink_comes_back() {
    let home = Home::new("island-cable");
    let isp = home.isp();
    let up = home.gateway("[census]\n");
    let shows = |wanted: bool| {
        let status = up.status();
        let told = status["dns64"] == "2001:db8:64::/96";
        let routers = status["uplink"]["routers"].as_array().is_some_and(|routers| !routers.is_empty());
        told && routers == wanted && status["uplink"]["up"] == true
    };
    wait_for("the prefix to be told", PATIENCE, || shows(true)).unwrap();
    // The census knows what names in that prefix are.
    let census = run(&home.gw, &format!("{SIXGATE} census --json"));
    assert!(census.contains("\"translated\":true") || census.contains("\"translated\": true"), "{census}");
    home.isp.set_up("lan0", false).unwrap();
    wait_for("the cable to be out", PATIENCE, || up.status()["uplink"]["up"] == false).unwrap();
    assert_eq!(up.status()["dns64"], "2001:db8:64::/96");
    // Nobody is there when it is in again.
    drop(isp);
    home.isp.set_up("lan0", true).unwrap();
    wait_for("the cable to be in", PATIENCE, || up.status()["uplink"]["up"] == true).unwrap();
    assert!(shows(false), "{}", up.status());
    // What is written takes its place at once, and goes when it is taken out.
    let lan = "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n";
    up.reload(&format!("{lan}[dns]\ndns64 = \"2001:db8:65::/96\"\n"));
    assert_eq!(up.status()["dns64"], "2001:db8:65::/96");
    up.reload(lan);
    assert_eq!(up.status()["dns64"], serde_json::Value::Null);
    up.stop();
}

/// An ISP that has a NAT64 and whose router does not tell: its prefix is written down, also while it runs.
#[test]
fn the_prefix_may_be_written_down() {
    let home = Home::new("island-written");
    let _isp = Up::start(
        &home.isp,
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:f::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
         delegate-length = 56\n",
    );
    let nat64 = spawn(
        &home.isp,
        &format!(
            "{SIXGATE} lab nat64 --prefix 2001:db8:64::/96 --pool 192.0.2.0/29 --address 2001:db8:f::64"
        ),
    );
    nat64.wait_line("ready", PATIENCE).unwrap();
    run(&home.isp, "sysctl -w net.ipv4.ip_forward=1");
    run(&home.server, "ip route add 192.0.2.0/29 via 198.51.100.1");
    run(&home.gw, "ip address add 192.168.1.1/24 dev lan0");
    let up = home.gateway("[ipv4]\n");
    let told =
        || up.status()["problems"].to_string().contains("no router on wan0 tells the prefix of a NAT64");
    wait_for("the problem to be told", PATIENCE, told).unwrap();
    // The host hears that there is no way, and need not wait.
    let ping = spawn(&home.printer, "ping -n -c 1 -W 5 198.51.100.10");
    ping.wait(PATIENCE).unwrap();
    assert!(ping.output().contains("Destination Net Unreachable"), "{}", ping.output());
    up.reload(
        "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n[ipv4]\npref64 = \"2001:db8:64::/96\"\n",
    );
    wait_for("the server to answer", PATIENCE, || reaches(&home.printer, "198.51.100.10")).unwrap();
    assert_eq!(up.status()["problems"].to_string(), "[]");
    up.stop();
}

/// An uplink that has IPv4: NAT44, and nothing comes in that nobody asked for.
#[test]
fn nat44_hides_ipv4_behind_the_uplink() {
    let home = Home::new("nat44");
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    for (host, interface, address) in [
        (&home.gw, "wan0", "192.0.2.2/24"),
        (&home.isp, "lan0", "192.0.2.1/24"),
        (&home.gw, "lan0", "192.168.1.1/24"),
    ] {
        host.add_address(interface, net(address)).unwrap();
    }
    run(&home.gw, "ip route add default via 192.0.2.1");
    run(&home.server, "ip route add 192.0.2.0/24 via 198.51.100.1");
    // A way in that the ISP should not offer.
    run(&home.isp, "ip route add 192.168.1.0/24 via 192.0.2.2");
    run(&home.server, "ip route add 192.168.1.0/24 via 198.51.100.1");
    run(&home.isp, "sysctl -w net.ipv4.ip_forward=1");
    let before = state(&home.gw);
    assert!(!reaches(&home.printer, "198.51.100.10"));

    let up = home.gateway("[ipv4]\ninternet = \"nat44\"\n");
    let capture = home.server.capture("eth0").unwrap();
    wait_for("the server to answer", PATIENCE, || reaches(&home.printer, "198.51.100.10")).unwrap();
    assert_eq!(
        up.status()["problems"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p.to_string().contains("NAT44"))
            .count(),
        0
    );
    python(&home.server, 80);
    let sent = noise(&home.server, "down", 10_000_000);
    run(&home.printer, "curl -sS -m 60 -o /run/down http://198.51.100.10/down");
    assert_eq!(sha256(&home.printer, "down"), sent);
    // From outside: neither the host nor the gateway, though there is a way.
    python(&home.printer, 80);
    assert!(!succeeds(&home.server, "curl -sS -m 3 http://192.168.1.50/"));
    assert!(!reaches(&home.server, "192.168.1.50") && !reaches(&home.server, "192.0.2.2"));
    let packets = |name: &str| up.status()["firewall"][name]["packets"].as_u64().unwrap();
    assert!(packets("wan-forward-dropped") >= 2 && packets("wan-input-dropped") >= 1, "{}", up.status());
    // Sources of the LAN that come from outside, and foreign ones on the LAN, are forged.
    run(&home.server, "ip address add 192.168.1.77/32 dev eth0");
    let forged = spawn(&home.server, "ping -n -c 2 -W 1 -I 192.168.1.77 192.0.2.2");
    assert!(!forged.wait(PATIENCE).unwrap().success());
    run(&home.printer, "ip address add 203.0.113.9/32 dev eth0");
    let forged = spawn(&home.printer, "ping -n -c 2 -W 1 -I 203.0.113.9 198.51.100.10");
    assert!(!forged.wait(PATIENCE).unwrap().success());
    assert!(packets("spoofed-wan") >= 2 && packets("spoofed-lan0") >= 2, "{}", up.status());
    capture.stop().unwrap();
    let sources = capture.fields("ip.dst == 198.51.100.10", &["ip.src"]).unwrap();
    assert!(!sources.is_empty() && sources.iter().all(|source| source[0] == "192.0.2.2"), "{sources:?}");

    up.stop();
    assert_eq!(state(&home.gw), before);
}

/// The old printer and a host without IPv4 on one segment: NAT64 leads to the LAN, too.
#[test]
fn an_ipv6_only_host_prints() {
    let home = Home::new("printer");
    run(&home.gw, "ip address add 192.168.1.1/24 dev lan0");
    // A printer that was given no router, as many are.
    run(&home.printer, "ip route del default");
    let up = home.gateway(
        "prefixes = [\"2001:db8:1::/64\"]\n[nat64]\nprefix = \"2001:db8:64::/96\"\n[ipv4]\ninternet = \"none\"\n",
    );
    home.laptop
        .wait_address("eth0", |address| address.segments()[..3] == [0x2001, 0xdb8, 1], PATIENCE)
        .unwrap();
    // While the Internet is away the gateway is no default router, but a way to what lies behind it (RFC 4191).
    let told = || run(&home.laptop, "ip -6 route").contains("2001:db8:64::/96 via fe80");
    wait_for("the laptop to know the way", PATIENCE, told).unwrap();
    server::http(&home.printer);
    let sent = noise(&home.printer, "page", 3_000_001);
    let fetch = "curl -sS -g -m 60 -o /run/page http://[2001:db8:64::c0a8:132]/page";
    wait_for("the printer to answer", PATIENCE, || succeeds(&home.laptop, fetch)).unwrap();
    assert_eq!(sha256(&home.laptop, "page"), sent);
    run(&home.laptop, "ping -n -c 2 -i 0.2 2001:db8:64::c0a8:132");
    // And does not leave: there is no way for it.
    assert!(!reaches(&home.printer, "198.51.100.10"));
    up.stop();
}
