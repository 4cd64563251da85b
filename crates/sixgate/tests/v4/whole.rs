//! Together with the rest: everybody reaches an IPv4 server, whether they have IPv4 or not.

use crate::network::*;
use crate::world::*;
use sixgate_lab::Host;

/// The ISP: IPv6 for the uplink, and what is appended.
fn isp(far: &Host, lan: &str) -> Sixgate {
    let config = format!(
        "[[lan]]\ninterface = \"eth0\"\nprefixes = [\"2001:db8:0:1::/64\"]\n{lan}[dns]\nenabled = false\n"
    );
    Sixgate::start(far, &config)
}

const UPLINK: &str = "[uplink]\ninterface = \"wan0\"\nprefix = false\n";

/// The laptop by NAT64, the printer by NAT44 and the router that DHCPv4 told it of.
#[test]
fn a_laptop_without_ipv4_and_a_printer_with_nothing_else_reach_the_same_server() {
    let segment = Segment::new("v4-whole");
    let isp = isp(&segment.far, "");
    let config = format!("{UPLINK}{LAN}{NAT64}[ipv4]\n");
    let sixgate = segment.serve(&config);
    let laptop = dhcpcd(&segment.new, CAPABLE);
    let printer = udhcpc(&segment.lab, &segment.third);
    wait_heeded(&sixgate, &laptop);
    wait_leased(&sixgate, &segment.third);
    assert_eq!(address(&segment.new), None);
    wait_in(&segment.new, "eth0", "2001:db8:1::/64".parse().unwrap());
    let reaches = |host: &Host, address: &str| {
        let ping = sixgate_lab::Command::new("ping").args(["-c", "1", "-W", "1", address]);
        let done = || host.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success();
        let what = format!("{} reaches {address}", host.name());
        host.wait_for(&what, PATIENCE, done).unwrap_or_else(|error| panic!("{error}\n{}", sixgate.log()));
    };
    reaches(&segment.new, "2001:db8:64::c633:6402");
    reaches(&segment.third, "198.51.100.2");
    printer.stop(PATIENCE).unwrap();
    laptop.stop(PATIENCE).unwrap();
    isp.stop();
    segment.end(sixgate);
}

/// The ISP's router tells of its NAT64 (RFC 8781): that is as good as one of ours.
#[test]
fn the_isps_nat64_lets_clients_be_told() {
    let segment = Segment::new("v4-isp64");
    segment.take_way_out();
    output(&segment.gw, "ip", &["addr", "flush", "dev", "wan0", "scope", "global"]);
    let isp = isp(&segment.far, "pref64 = \"2001:db8:64::/96\"\n");
    let sixgate = segment.serve(&format!("{UPLINK}{LAN}[ipv4]\n"));
    let laptop = dhcpcd(&segment.new, CAPABLE);
    wait_heeded(&sixgate, &laptop);
    assert_eq!(address(&segment.new), None);
    // The uplink's cable: no IPv6 beyond, nobody is told.
    segment.far.set_up("eth0", false).unwrap();
    wait_told(&sixgate, false);
    laptop.stop(PATIENCE).unwrap();
    isp.stop();
    segment.end(sixgate);
}

/// Takes the resolver that router advertisements tell (RFC 8106), as a host does that has no DHCPv6.
fn hear_resolver(host: &Host) {
    let told = output(host, "rdisc6", &["-1", "eth0"]);
    let line = told.lines().find_map(|line| line.trim().strip_prefix("Recursive DNS server"));
    let resolver =
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or_else(|| panic!("no RDNSS: {told}"));
    host.write_file("/etc/resolv.conf", format!("nameserver {}\n", resolver.trim())).unwrap();
}

/// One segment, an uplink without IPv4, an ISP with a NAT64: a laptop that heeds option 108 and has a CLAT, a phone that knows SLAAC and
/// RDNSS alone, and a printer that knows IPv4 alone. All of them reach a server that has IPv4 alone, by name and by number, and no
/// packet of IPv4 is on the uplink.
#[test]
fn everybody_on_one_segment_reaches_an_ipv4_server_over_an_uplink_without_ipv4() {
    let segment = Segment::new("v4-everybody");
    let Segment { gw, far, new: laptop, old: phone, third: printer, .. } = &segment;
    segment.take_way_out();
    for (host, interface) in [(gw, "wan0"), (far, "eth0")] {
        output(host, "ip", &["-4", "addr", "flush", "dev", interface]);
    }
    far.add_address("lo", "198.51.100.10/32".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let isp = Sixgate::start(
        far,
        "[[lan]]\ninterface = \"eth0\"\nprefixes = [\"2001:db8:0:1::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
         delegate-length = 56\n[nat64]\nprefix = \"2001:db8:64::/96\"\n[dns]\nhosts = { \"v4only.example\" = [\"198.51.100.10\"] }\n",
    );
    let python = ["-m", "http.server", "--bind", "198.51.100.10", "--directory", "/usr/share/dns", "8080"];
    let _server = far.spawn(&sixgate_lab::Command::new("python3").args(python)).unwrap();
    far.wait_for("the server", PATIENCE, || far.listening(sixgate_lab::Transport::Tcp, 8080)).unwrap();
    let uplink = gw.capture("wan0").unwrap();
    // The LAN's prefix is what the ISP delegates.
    let lan = LAN.replace("prefixes = [\"2001:db8:1::/64\"]\n", "");
    let sixgate = segment.serve(&format!("[uplink]\ninterface = \"wan0\"\n{lan}[ipv4]\n"));
    let delegated = "2001:db8:100::/40".parse().unwrap();

    let fetches = |host: &Host, url: &str| {
        let curl = sixgate_lab::Command::new("curl").args(["-sS", "-m", "5", "-o", "/dev/null", url]);
        let done = || host.spawn(&curl).unwrap().wait(PATIENCE).unwrap().success();
        let what = format!("{} fetches {url}", host.name());
        host.wait_for(&what, PATIENCE, done).unwrap_or_else(|error| panic!("{error}\n{}", sixgate.log()));
    };
    let (named, numbered) = ("http://v4only.example:8080/", "http://198.51.100.10:8080/");

    let client = dhcpcd(laptop, CAPABLE);
    wait_heeded(&sixgate, &client);
    assert_eq!(address(laptop), None);
    wait_in(laptop, "eth0", delegated);
    hear_resolver(laptop);
    fetches(laptop, named);
    let clat = laptop.spawn(&sixgate_lab::Command::new(SIXGATE).arg("clat")).unwrap();
    clat.wait_line("on:", PATIENCE).unwrap();
    fetches(laptop, numbered);

    // As an Android phone, it listens to router advertisements and to nothing else.
    wait_in(phone, "eth0", delegated);
    hear_resolver(phone);
    fetches(phone, named);
    assert_eq!(address(phone), None);

    let client4 = udhcpc(&segment.lab, printer);
    wait_leased(&sixgate, printer);
    fetches(printer, numbered);

    uplink.wait_fields("ipv6 && tcp.port == 8080", &["frame.number"], 1, PATIENCE).unwrap();
    uplink.stop().unwrap();
    assert!(uplink.fields("ip || arp", &["frame.number"]).unwrap().is_empty(), "{}", uplink.summary());
    // Who has no IPv4 asks nobody for link-layer addresses by broadcast; the printer does.
    let asked = segment.seen.wait_fields("arp.opcode == 1", &["eth.src"], 1, PATIENCE).unwrap();
    let mac = |host: &Host| host.run(|| std::fs::read_to_string("/sys/class/net/eth0/address").unwrap());
    for host in [laptop, phone] {
        let mac = mac(host);
        assert!(
            !asked.iter().any(|fields| fields[0] == mac.trim()),
            "{} asks by ARP: {asked:?}",
            host.name()
        );
    }
    assert!(asked.iter().any(|fields| fields[0] == mac(printer).trim()), "{asked:?}");
    assert!(clat.stop(PATIENCE).unwrap().success(), "{}", clat.output());
    for process in [client4, client] {
        process.stop(PATIENCE).unwrap();
    }
    isp.stop();
    segment.end(sixgate);
}

/// ARP requests a minute on a segment of two laptops and a printer that all have IPv4, and on the same one once the laptops do without:
/// each talks to a server far away every second, and the laptops to the printer. `cargo nextest run -p sixgate --test v4
/// --run-ignored only arp_per_minute --no-capture`.
#[test]
#[ignore = "counts for a minute before, and for a minute after"]
fn arp_per_minute_before_and_after_the_laptops_do_without_ipv4() {
    const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);
    let segment = Segment::new("v4-arp");
    let Segment { new, old, third: printer, .. } = &segment;
    let isp = isp(&segment.far, "");
    let sixgate = segment.serve(&format!("{UPLINK}{LAN}{NAT64}[ipv4]\n[pilot]\npercent = 0\n"));
    let client = udhcpc(&segment.lab, printer);
    let at = wait_leased(&sixgate, printer);
    let [_, _, _, last] = at.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let pings = |host: &Host, address: &str| {
        host.spawn(&sixgate_lab::Command::new("ping").args(["-q", "-i", "1", address])).unwrap()
    };
    let count = |phase: &str| {
        let requests = || segment.seen.fields("arp.opcode == 1", &["frame.number"]).unwrap().len();
        let before = requests();
        std::thread::sleep(MINUTE);
        let count = requests() - before;
        println!("ARP requests a minute, {phase}: {count}");
        count
    };
    let printing = pings(printer, "198.51.100.2");

    let clients = [new, old].map(|host| dhcpcd(host, CAPABLE));
    let talks = [new, old].map(|host| {
        wait_leased(&sixgate, host);
        [pings(host, "198.51.100.2"), pings(host, &at)]
    });
    let before = count("all have IPv4");
    for talk in talks.iter().flatten().chain(&clients) {
        talk.stop(PATIENCE).unwrap();
    }

    pilot(&sixgate, &["100%"]);
    let clients = [new, old].map(|host| {
        output(host, "ip", &["-4", "address", "flush", "dev", "eth0"]);
        dhcpcd(host, CAPABLE)
    });
    for (host, client) in [new, old].into_iter().zip(&clients) {
        client.wait_line("IPv6-Only Preferred received (300 seconds)", PATIENCE).unwrap();
        assert_eq!(address(host), None);
        wait_in(host, "eth0", "2001:db8:1::/64".parse().unwrap());
    }
    let talks = [new, old].map(|host| {
        [pings(host, "2001:db8:64::c633:6402"), pings(host, &format!("2001:db8:64::c0a8:7{last:02x}"))]
    });
    let after = count("the laptops do without");
    assert!(after < before, "{before} before, {after} after");
    for process in talks.iter().flatten().chain(&clients).chain([&printing, &client]) {
        process.stop(PATIENCE).unwrap();
    }
    isp.stop();
    segment.end(sixgate);
}
