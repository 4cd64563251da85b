//! Names of all hosts, whatever they speak, and that they answer when the Internet is away.

use crate::network::*;
use crate::world::*;
use sixgate_lab::{Command, Host, Process};
use std::net::Ipv6Addr;

/// Registers the address given with the lifetime given under the name `phone` (RFC 9686), as a client does, and prints the reply
/// in hexadecimal.
const REGISTER: &str = r#"
import socket, struct, sys
address, valid = sys.argv[1], int(sys.argv[2])
def option(code, data): return struct.pack("!HH", code, len(data)) + data
duid = bytes.fromhex("00030001020000aabbcc")
ia = socket.inet_pton(socket.AF_INET6, address) + struct.pack("!II", valid // 2, valid)
message = bytes([36, 1, 2, 3]) + option(1, duid) + option(5, ia) + option(39, b"\x00\x05phone")
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((address, 546))
s.settimeout(5)
to = ("ff02::1:2", 547, 0, socket.if_nametoindex("eth0"))
for _ in range(4):
    s.sendto(message, to)
    try:
        print(s.recv(1500).hex())
        break
    except TimeoutError:
        pass
else:
    sys.exit("no reply")
"#;

/// One question, asked once: no second try hides a slow answer.
fn dig(host: &Host, arguments: &[&str]) -> Vec<String> {
    let text =
        output(host, "dig", &[&["+short", "+time=5", "+tries=1", "@2001:db8:1::1"], arguments].concat());
    text.lines().map(str::to_owned).collect()
}

fn wait_dig(host: &Host, arguments: &[&str], wanted: &str) {
    let found = || dig(host, arguments).iter().any(|line| line == wanted);
    host.wait_for(&format!("{wanted} for {arguments:?}"), PATIENCE, found).unwrap();
}

fn register(host: &Host, address: Ipv6Addr, seconds: u32) -> String {
    let arguments = ["-c", REGISTER, &address.to_string(), &seconds.to_string()];
    output(host, "python3", &arguments).trim().to_owned()
}

fn dhclient6(host: &Host) -> Process {
    host.write_file("/run/dhclient6.conf", "send fqdn.fqdn \"desktop\";\nsend fqdn.server-update on;\n")
        .unwrap();
    host.write_file("/run/dhclient6.leases", "").unwrap();
    let files = ["-cf", "/run/dhclient6.conf", "-lf", "/run/dhclient6.leases", "-pf", "/run/dhclient6.pid"];
    host.spawn(&Command::new("dhclient").args(["-6", "-d", "-v", "-D", "LL"]).args(files).arg("eth0"))
        .unwrap()
}

/// The one address of a host that it formed itself.
fn formed(host: &Host) -> Ipv6Addr {
    wait_in(host, "eth0", "2001:db8:1::/64".parse().unwrap())
}

#[test]
fn hosts_have_names_whatever_they_speak_and_keep_them_without_the_internet() {
    let segment = Segment::new("names");
    let sixgate = segment.serve(&mostly());
    let (phone, desktop, printer) = (&segment.new, &segment.old, &segment.third);

    // DHCPv4 tells a name; the address that the same host formed is seen by neighbour discovery.
    let own = formed(printer);
    let _udhcpc = udhcpc(&segment.lab, printer);
    let leased = wait_leased(&sixgate, printer);
    output(printer, "ping", &["-6", "-c", "1", "-W", "5", "2001:db8:1::1"]);
    wait_dig(desktop, &["printer.home.arpa", "AAAA"], &own.to_string());
    // DHCPv6, and DHCPv4 on the same interface: one host and one name.
    let _dhclient = dhclient(desktop);
    let (_dhclient6, desktop4) = (dhclient6(desktop), wait_leased(&sixgate, desktop));
    let desktop6 = sixgate.wait_status("a lease of DHCPv6", |_| {
        let leases = sixgate.leases();
        let lease = leases.iter().find(|lease| {
            lease["hostname"] == "desktop"
                && lease["duid"].is_string()
                && lease["resource"].as_str().is_some_and(|text| text.contains("2001:db8:1:"))
        })?;
        Some(lease["resource"].as_str()?.to_owned())
    });
    wait_dig(printer, &["desktop.home.arpa", "AAAA"], &desktop6);
    // Neither: the host registers what it formed.
    let registered = formed(phone);
    let reply = register(phone, registered, 600);
    assert!(reply.starts_with("25010203"), "Addr-reg-reply with the transaction's ID: {reply}");
    let lease = sixgate.leases().into_iter().find(|lease| lease["state"] == "registered").unwrap();
    assert_eq!((&lease["resource"], &lease["hostname"]), (&registered.to_string().into(), &"phone".into()));

    // Nobody from elsewhere is answered over IPv4 either.
    desktop.add_address("eth0", "10.9.9.9/32".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let forged = ["-b", "10.9.9.9", "+time=1", "+tries=1", "@192.168.7.1", "phone.home.arpa", "AAAA"];
    let forged = desktop.spawn(&Command::new("dig").args(forged)).unwrap();
    assert!(!forged.wait(PATIENCE).unwrap().success(), "{}", forged.output());
    assert_eq!(sixgate.status()["dns"]["outside"], 1);

    // No Internet. Whatever is asked now and answered was answered here.
    segment.gw.set_up("wan0", false).unwrap();
    for host in [phone, desktop, printer] {
        let (own, desktop6, registered) = (own.to_string(), desktop6.as_str(), registered.to_string());
        for (name, kind, wanted) in [
            ("printer", "A", leased.as_str()),
            ("printer", "AAAA", &own),
            ("desktop", "A", &desktop4),
            ("desktop", "AAAA", desktop6),
            ("phone", "AAAA", &registered),
            ("gateway", "AAAA", "2001:db8:1::1"),
            ("gateway", "A", "192.168.7.1"),
        ] {
            let full = format!("{name}.home.arpa");
            assert_eq!(dig(host, &[&full, kind]), [wanted], "{name} {kind}");
            let back = dig(host, &["-x", wanted]);
            assert_eq!(back, [format!("{full}.")], "{wanted}");
        }
        assert_eq!(dig(host, &["phone.home.arpa", "A"]), [""; 0]);
    }
    let counters = sixgate.status()["dns"].clone();
    assert_eq!((&counters["upstream-queries"], &counters["misses"]), (&0.into(), &0.into()), "{counters}");
    assert_eq!(counters["names"], 3);

    // A power failure: what was registered was on the disk before the phone heard of it.
    sixgate.kill();
    let sixgate = Sixgate::start(&segment.gw, &mostly());
    wait_dig(desktop, &["phone.home.arpa", "AAAA"], &registered.to_string());
    // And it is given up.
    register(phone, registered, 0);
    assert_eq!(dig(desktop, &["phone.home.arpa", "AAAA"]), [""; 0]);
    assert!(dig(desktop, &["-x", &registered.to_string()]).is_empty());
    sixgate.stop();
    segment.seen.stop().unwrap();
    // An independent dissector knows the messages and finds nothing wrong.
    let types =
        segment.seen.fields("dhcpv6.msgtype == 36 || dhcpv6.msgtype == 37", &["dhcpv6.msgtype"]).unwrap();
    let count = |wanted: &str| types.iter().filter(|fields| fields[0] == wanted).count();
    assert!(count("36") >= 2 && count("37") == 2, "{types:?}");
    segment.seen.assert_clean("dhcpv6.msgtype == 37").unwrap();
}

/// By its name, through the NAT64: the laptop has no IPv4, and the printer nothing else.
#[test]
fn a_laptop_without_ipv4_reaches_a_printer_with_nothing_else() {
    let segment = Segment::new("names-printer");
    let (laptop, printer) = (&segment.new, &segment.third);
    printer.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
    let sixgate = segment.serve(&format!("{}[ipv4]\n", mostly()));
    let _udhcpc = udhcpc(&segment.lab, printer);
    let leased = wait_leased(&sixgate, printer);
    output(printer, "ip", &["route", "replace", "default", "via", "192.168.7.1"]);
    formed(laptop);
    let [a, b, c, d]: [u8; 4] = leased.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let behind = format!("2001:db8:64::{a:02x}{b:02x}:{:x}", u16::from(c) << 8 | u16::from(d));
    assert_eq!(dig(laptop, &["printer.home.arpa", "AAAA"]), [behind.as_str()]);
    let back = dig(laptop, &["-x", &behind]);
    assert_eq!(back.last().map(String::as_str), Some("printer.home.arpa."), "{back:?}");
    let ping = Command::new("ping").args(["-c", "1", "-W", "1", &behind]);
    let reached = || laptop.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success();
    laptop
        .wait_for("an answer of the printer", PATIENCE, reached)
        .unwrap_or_else(|error| panic!("{error}\n{}", sixgate.log()));
    sixgate.stop();
}
