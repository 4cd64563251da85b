//! Who gets DNS answers, and how much of them.

use crate::network::*;
use ipnet::Ipv6Net;
use sixgate_lab::{Command, Host};

/// Asks once, and says how `dig` ended and what it printed.
fn dig(host: &Host, arguments: &[&str]) -> (bool, String) {
    let process = host.spawn(&Command::new("dig").args(["+time=2", "+tries=1"]).args(arguments)).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    (status.success(), process.output())
}

fn count(sixgate: &Sixgate, counter: &str) -> u64 {
    sixgate.status()["dns"][counter].as_u64().unwrap()
}

fn gateway_of(lan: Ipv6Net) -> String {
    format!("@{}1", lan.network())
}

#[test]
fn nobody_outside_is_answered() {
    const FORGED: &str = "2001:db8:bad::1";
    for firewall in [true, false] {
        let home = home(if firewall { "dns-outside" } else { "dns-open" });
        let isp = Sixgate::start(&home.isp, &isp_config());
        let gateway = Sixgate::start(&home.gw, &format!("firewall = {firewall}\n{GATEWAY}"));
        let inside = gateway_of(gateway.wait_lan_prefix(0));
        let outside = gateway.wait_status("an address on the uplink", |status| {
            Some(format!("@{}", status["uplink"]["addresses"][0]["what"].as_str()?))
        });
        wait_in(&home.alice, "eth0", gateway.wait_lan_prefix(0));
        let (answered, text) = dig(&home.alice, &[&inside, "far.example", "AAAA"]);
        assert!(answered && text.contains(FAR), "{text}");
        for server in [&inside, &outside] {
            for how in ["+notcp", "+tcp"] {
                let (answered, text) = dig(&home.isp, &[server, how, "far.example", "AAAA"]);
                assert!(!answered && !text.contains("status:"), "{server} {how} from the WAN: {text}");
            }
        }
        assert_eq!(count(&gateway, "outside"), 0, "nothing of it came as far as a socket of ours");
        if !firewall {
            // On the LAN, with somebody else's address; the way back leads there.
            home.alice.add_address_nodad("eth0", net(&format!("{FORGED}/128"))).unwrap();
            home.gw.add_route(net(&format!("{FORGED}/128")), None, "lan0").unwrap();
            for (number, how) in (1..).zip(["+notcp", "+tcp"]) {
                let (answered, text) = dig(&home.alice, &["-b", FORGED, &inside, how, "far.example", "AAAA"]);
                assert!(!answered && !text.contains("status:"), "{how} with a forged source: {text}");
                // A connection that is closed is tried again by dig.
                assert!(count(&gateway, "outside") >= number, "{how}: {}", gateway.status());
            }
            let (answered, text) = dig(&home.alice, &[&inside, "far.example", "AAAA"]);
            assert!(answered && text.contains(FAR), "{text}");
        }
        gateway.stop();
        isp.stop();
    }
}

/// Sends so many queries with one address as their source and counts octets both ways.
const FLOOD: &str = r#"
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.connect((sys.argv[1], 53))
sent = received = cut = 0
query = b"\x01\0\0\x01\0\0\0\0\0\0\x03far\x07example\0\0\x1c\0\x01"
def hear(patience):
    global received, cut
    s.settimeout(patience)
    try:
        while True:
            reply = s.recv(2000)
            received += len(reply)
            cut += (reply[2] & 2) >> 1
    except (BlockingIOError, TimeoutError):
        pass
for n in range(int(sys.argv[2])):
    sent += s.send(struct.pack("!H", n & 0xffff) + query)
    if n % 16 == 0:
        hear(0)
hear(1)
print(sent, received, cut)
"#;

#[test]
fn a_flood_is_cut_down_and_who_proves_itself_is_served() {
    let home = home("dns-flood");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    let server = gateway_of(lan);
    // dig sends a cookie by itself, and shows whether what came back fits.
    let (_, text) = dig(&home.alice, &[&server, "far.example", "AAAA"]);
    assert!(text.contains("(good)"), "{text}");
    let cookie =
        text.split("COOKIE: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().to_owned();
    assert_eq!(cookie.len(), 48, "8 octets of its own and 16 of ours, in hexadecimal");

    let flood = output(&home.alice, "python3", &["-c", FLOOD, server.trim_start_matches('@'), "30000"]);
    let octets: Vec<u64> = flood.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(octets[1] < octets[0] && octets[2] > 1_000, "sent, received, cut: {flood}");
    assert!(count(&gateway, "limited-dropped") > 1_000, "{}", gateway.status());
    let told = gateway.log().matches("DNS replies are limited").count();
    assert!((1..3).contains(&told), "the log says so, and not for each: {}", gateway.log());
    let cookies = count(&gateway, "cookies");

    // While it goes on: a client that comes back over TCP, and one that has proved itself.
    let arguments = ["-c", FLOOD, server.trim_start_matches('@'), "2000000"];
    let flood = home.alice.spawn(&Command::new("python3").args(arguments)).unwrap();
    let limited = count(&gateway, "limited-cut");
    let more = || count(&gateway, "limited-cut") > limited + 1_000;
    home.alice.wait_for("the second flood", PATIENCE, more).unwrap();
    // Where the machine is busy, the kernel drops queries of everybody before anybody reads them; asked again, it is served.
    let served = |what: &str, arguments: &[&str]| {
        let asked = || {
            let (answered, text) = dig(&home.alice, &[&[&*server, "+ignore"], arguments].concat());
            assert!(!answered || (text.contains(FAR) && !text.contains("flags: qr tc")), "{what}: {text}");
            answered
        };
        home.alice.wait_for(what, PATIENCE, asked).unwrap();
    };
    served("an answer with a cookie", &[&format!("+cookie={cookie}"), "far.example", "AAAA"]);
    assert!(count(&gateway, "cookies") > cookies);
    served("an answer over TCP", &["+tcp", "+nocookie", "far.example", "AAAA"]);
    // The other LAN is another network.
    wait_in(&home.bob, "eth0", gateway.wait_lan_prefix(1));
    let (answered, text) = dig(
        &home.bob,
        &[&gateway_of(gateway.wait_lan_prefix(1)), "+nocookie", "+ignore", "far.example", "AAAA"],
    );
    assert!(answered && text.contains(FAR), "{text}");
    let limited = count(&gateway, "limited-cut");
    home.alice
        .wait_for("the flood, still there", PATIENCE, || count(&gateway, "limited-cut") > limited)
        .unwrap();
    flood.signal(sixgate_lab::Signal::SIGKILL).unwrap();
    gateway.stop();
    isp.stop();
}
