//! Names of DHCPv4 leases: their own, and one for both families where the client is known by its DUID in both.

use super::*;

const V4_REVERSE: &str = "7.168.192.in-addr.arpa";

fn config() -> String {
    format!(
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nslaac = false\ndelegate = false\n\
         ipv4 = \"192.168.7.1/24\"\n[dns]\nenabled = false\n[ddns]\nzone = \"{ZONE}\"\n\
         reverse = [\"2001:db8:1::/48\", \"192.168.7.0/24\"]\nserver = \"{DNS}\"\nkey-file = \"/etc/sixgate.key\"\n"
    )
}

/// dhclient for IPv4, which sends no client identifier.
fn dhclient(host: &Host, how: &str) -> Process {
    host.write_file("/run/dhclient4.conf", "send host-name \"alice\";\n").unwrap();
    if how == "-d" {
        host.write_file("/run/dhclient4.leases", "").unwrap();
    }
    let files = ["-cf", "/run/dhclient4.conf", "-lf", "/run/dhclient4.leases", "-pf", "/run/dhclient4.pid"];
    let arguments = [&["-4", "-v", how][..], &files, &["eth0"]].concat();
    host.spawn(&Command::new("dhclient").args(arguments)).unwrap()
}

#[test]
fn an_ipv4_lease_has_its_name_and_no_other_client_takes_it() {
    let stage = Stage::new("ddns-v4");
    let seen = stage.gw.capture("dns0").unwrap();
    let _server = stage.serve_zones(SECRET, &[ZONE, V4_REVERSE]);
    let sixgate = Sixgate::start(&stage.gw, &config());
    let client = dhclient(&stage.alice, "-d");
    let name = format!("alice.{ZONE}");
    stage.wait("a name", &sixgate, |stage| !stage.dig(&["A", &name]).is_empty());
    let address = sixgate.leases()[0]["resource"].as_str().unwrap().to_owned();
    assert_eq!(stage.dig(&["A", &name]), address);
    stage.wait("a reverse name", &sixgate, |stage| stage.dig(&["-x", &address]) == format!("{name}."));
    // By its hardware type and address (RFC 4701 section 3.3): 00 00, then SHA-256's 01, in base64.
    let dhcid = stage.dig(&["DHCID", &name]);
    assert!(dhcid.starts_with("AAAB"), "{dhcid}");

    // Another machine that calls itself the same has a lease, and no name.
    let _other = dhclient(&stage.bob, "-d");
    sixgate.wait_status("a conflict", |status| {
        (status["ddns"]["counters"]["conflicts"].as_u64()? > 0).then_some(())
    });
    assert_eq!((sixgate.leases().len(), stage.dig(&["A", &name])), (2, address.clone()));

    dhclient(&stage.alice, "-r").wait(PATIENCE).unwrap();
    stage.wait("no name", &sixgate, |stage| stage.dig(&["A", &name]).is_empty());
    stage.wait("no reverse name", &sixgate, |stage| stage.dig(&["-x", &address]).is_empty());
    stage.wait("nothing left", &sixgate, |stage| stage.dig(&["DHCID", &name]).is_empty());
    seen.stop().unwrap();
    seen.assert_clean("dns").unwrap();
    let _ = client.kill();
}

#[test]
fn both_families_of_one_host_share_a_name() {
    let stage = Stage::new("ddns-dual");
    let _server = stage.serve_zones(SECRET, &[ZONE, REVERSE, V4_REVERSE]);
    let sixgate = Sixgate::start(&stage.gw, &config());
    let conf = "duid\nhostname dual\nfqdn both\nnohook resolv.conf, hostname\nnoipv4ll\nnoarp\n\
                interface eth0\nia_na 1\n";
    stage.alice.write_file("/run/dhcpcd.conf", conf).unwrap();
    // Its DUID and leases are this host's own, and not those of other tests.
    output(
        &stage.alice,
        "sh",
        &["-c", "mountpoint -q /var/lib/dhcpcd || mount -t tmpfs none /var/lib/dhcpcd"],
    );
    let client = Command::new("dhcpcd").args(["-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"]);
    let client = stage.alice.spawn(&client).unwrap();
    let name = format!("dual.{ZONE}");
    let both = |stage: &Stage| [stage.dig(&["A", &name]), stage.dig(&["AAAA", &name])];
    stage.wait("both addresses", &sixgate, |stage| both(stage).iter().all(|answer| !answer.is_empty()));
    let held: Vec<String> =
        sixgate.leases().iter().map(|lease| lease["resource"].as_str().unwrap().to_owned()).collect();
    assert!(both(&stage).iter().all(|address| held.contains(address)), "{held:?}\n{}", client.output());
    // By the DUID that both have (RFC 4361): 00 02 01.
    let dhcid = stage.dig(&["DHCID", &name]);
    assert!(dhcid.starts_with("AAIB") && dhcid.lines().count() == 1, "{dhcid}");
    let counters = &sixgate.status()["ddns"]["counters"];
    assert_eq!(counters["conflicts"], 0, "{counters}");
    client.kill().unwrap();
}
