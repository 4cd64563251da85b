use super::super::tests::{HOME, finding, parse};
use super::*;

/// The home's second LAN with IPv4, and a NAT64.
fn mostly(lan: &str, rest: &str) -> String {
    format!("{HOME}ipv4 = \"192.168.7.1/24\"\n{lan}[nat64]\n{rest}")
}

#[test]
fn ipv4_is_off_until_asked_for() {
    let config = parse(HOME).unwrap().config;
    assert!(config.lans.iter().all(|lan| lan.ipv4.is_none()));
    assert_eq!(config.pilot, Pilot::default());
    let checked = parse(&mostly("", "")).unwrap();
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let ipv4 = checked.config.lans[1].ipv4.clone().unwrap();
    assert_eq!((ipv4.address.to_string().as_str(), ipv4.range), ("192.168.7.1/24", None));
    assert_eq!(ipv4.lease, Duration::from_hours(1));
    assert_eq!((checked.config.pilot.percent, checked.config.pilot.wait), (100, Duration::from_mins(30)));
    let text = mostly(
        "ipv4-range = \"192.168.7.100 - 192.168.7.199\"\nipv4-lease = \"10m\"\n",
        "[pilot]\npercent = 5\nonly = [\"02:00:5e:10:00:01\"]\nexcept = [\"id:00:70:63\"]\n",
    );
    let config = parse(&text).unwrap().config;
    let range = config.lans[1].ipv4.clone().unwrap().range.unwrap();
    assert_eq!((range.0.octets()[3], range.1.octets()[3]), (100, 199));
    // A shorter lease takes the default of the wait with it.
    assert_eq!((config.pilot.percent, config.pilot.wait), (5, Duration::from_mins(10)));
    assert_eq!((config.pilot.only.len(), config.pilot.except.len()), (1, 1));
}

#[test]
fn mistakes_name_line_key_and_remedy() {
    let lan = |keys: &str| format!("{HOME}{keys}");
    for (text, expected) in [
        (
            lan("ipv4 = \"192.168.7.1\"\n"),
            "9:8 `192.168.7.1` does not say how long its subnet's prefix is / write the",
        ),
        (lan("ipv4 = \"fd00::1/64\"\n"), "9:8 `fd00::1/64` is not an IPv4 address with a length / write the"),
        (lan("ipv4 = \"192.168.7.0/24\"\n"), "9:8 192.168.7.0 is not an address of a host in 192.168.7.0/24"),
        (lan("ipv4 = \"192.168.7.1/31\"\n"), "9:8 a subnet of 31 bits is none for a LAN (8 to 30)"),
        (lan("ipv4 = \"127.0.0.1/8\"\n"), "9:8 127.0.0.1 cannot be the address of a host on a LAN"),
        (lan("ipv4-lease = \"1h\"\n"), "9:14 ipv4-lease does nothing without ipv4 / write the"),
        (
            lan("ipv4 = \"10.0.0.1/8\"\nipv4-range = \"all\"\n"),
            "10:14 `all` is no range of IPv4 addresses / write the first",
        ),
        (
            lan("ipv4 = \"10.0.0.1/24\"\nipv4-range = \"10.0.0.9-10.0.1.9\"\n"),
            "10:14 a pool from 10.0.0.9 to 10.0.1.9 does not lie within the addresses of hosts in 10.0.0.0/24",
        ),
        (
            lan("ipv4 = \"10.0.0.1/8\"\nipv4-range = \"10.0.0.1-10.0.15.161\"\n"),
            "10:14 a LAN leases 4000 addresses at most, and this range has more / end it earlier",
        ),
        (
            lan("ipv4 = \"10.0.0.1/24\"\nipv4-range = \"10.0.0.1-10.0.0.1\"\n"),
            "10:14 the gateway's own address is all",
        ),
        (lan("ipv4 = \"10.0.0.1/24\"\nipv4-lease = \"10s\"\n"), "10:14 10 s is out of range / choose 60 to"),
        (
            lan("ipv4 = \"10.0.0.1/24\"\n[[lan]]\ninterface = \"lan2\"\nipv4 = \"10.0.0.129/25\"\n"),
            "12:9 10.0.0.128/25 overlaps 10.0.0.0/24 of LAN `lan1` / give each LAN",
        ),
        (
            lan("ipv4 = \"192.168.64.1/24\"\n[nat64]\n"),
            "9:9 192.168.64.0/24 overlaps 192.168.64.0/28 of nat64.pool / give each LAN",
        ),
        (
            mostly("", "[pilot]\npercent = 101\n"),
            "12:11 101 is no share in percent / choose 0 (nobody) to 100",
        ),
        (
            mostly("", "[pilot]\nonly = [\"laptop\"]\n"),
            "12:9 `laptop` names no client / write an Ethernet address",
        ),
        (mostly("", "[pilot]\npercant = 5\n"), "12:1 there is no key `percant` / did you mean `percent`?"),
        (
            mostly("", "[pilot]\nwait = \"2h\"\n"),
            "12:8 7200 s is longer than the shortest lease, 3600 s / choose 300 to 3600",
        ),
        (mostly("", "[pilot]\nwait = 200\n"), "12:8 200 s is out of range / choose 300 to 3600 seconds"),
        (
            mostly("ipv4-lease = \"2m\"\n", ""),
            "10:1 clients that do without IPv4 do so for 300 s at least (RFC 8925), longer than a lease of 120 s",
        ),
    ] {
        let found = finding(&text);
        assert!(found.starts_with(expected), "{found}\nfor:\n{text}");
    }
}

#[test]
fn a_pilot_that_nobody_could_be_in_is_doubted() {
    // Without an uplink nobody can tell of a NAT64; with one, its router may.
    let alone =
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nipv4 = \"10.0.0.1/24\"\n[pilot]\n";
    for text in [alone.to_owned(), format!("{HOME}[nat64]\n[pilot]\npercent = 5\n")] {
        let warnings = parse(&text).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].message.starts_with("[pilot] does nothing"),
            "{warnings:#?}"
        );
    }
    // Somebody else translates.
    let text = format!("{HOME}ipv4 = \"10.0.0.1/24\"\npref64 = \"2001:db8:64::/96\"\n[pilot]\npercent = 5\n");
    assert!(parse(&text).unwrap().warnings.is_empty());
}

#[test]
fn what_can_change_while_running() {
    let [none, some] =
        ["", "ipv4 = \"10.0.0.1/24\"\n"].map(|keys| parse(&format!("{HOME}{keys}")).unwrap().config);
    assert_eq!(none.needs_restart(&some), ["lan.ipv4"]);
    assert_eq!(some.needs_restart(&none), ["lan.ipv4"]);
    let other =
        parse(&format!("{HOME}ipv4 = \"10.0.9.1/24\"\nipv4-lease = \"2h\"\n[pilot]\n")).unwrap().config;
    assert!(some.needs_restart(&other).is_empty());
}
