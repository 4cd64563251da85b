//! From start to stop: what is told when it ends, what is put back, what a reload changes, and what a `kill -9` leaves
//! behind. And names, from the side that may ask and from the side that may not.

use crate::mistakes::{SERVER, assert_no_trace, pair, run, shell, traces};
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{AcceptRa, Command, Host, Signal};
use std::time::Duration;

fn sysctl(host: &Host, name: &str) -> String {
    host.read_file(format!("/proc/sys/net/ipv6/conf/{name}")).unwrap().trim().to_owned()
}

/// Gives a host an interface that is none of sixgate's, and listens to routers there.
fn bystander(host: &Host) {
    run(host, "ip", &["link", "add", "mgmt0", "type", "veth", "peer", "name", "mgmt1"]).expect(0, &[]);
    run(host, "ip", &["link", "set", "mgmt1", "up"]).expect(0, &[]);
    run(host, "ip", &["link", "set", "mgmt0", "up"]).expect(0, &[]);
    host.set_accept_ra("mgmt0", AcceptRa::Host).unwrap();
}

#[test]
fn a_clean_stop_says_farewell_and_puts_everything_back() {
    let home = home("lifecycle-stop");
    bystander(&home.gw);
    run(&home.gw, "ip", &["link", "set", "lan1", "down"]).expect(0, &[]);
    let before = traces(&home.gw);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let seen = home.alice.capture("eth0").unwrap();
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let prefix = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", prefix);
    assert_eq!(sysctl(&home.gw, "mgmt0/accept_ra"), "2");
    assert_eq!(sysctl(&home.gw, "mgmt0/forwarding"), "1");
    assert_eq!(sysctl(&home.gw, "lan0/accept_ra"), "0");
    home.alice
        .wait_for("a default route", PATIENCE, || {
            home.alice.route_to("2001:db8:ffff::1".parse().unwrap()).is_some()
        })
        .unwrap();
    gateway.stop();
    assert_no_trace(&home.gw, &before, "");

    let last = seen
        .wait_fields(
            "icmpv6.type == 134 && icmpv6.nd.ra.router_lifetime == 0",
            &["icmpv6.opt.prefix", "icmpv6.opt.prefix.preferred_lifetime"],
            1,
            PATIENCE,
        )
        .unwrap();
    let told = last.last().unwrap();
    // The first is of the Prefix Information option, the others of Route Information options.
    assert_eq!(told[0].split(',').next(), Some(prefix.network().to_string().as_str()));
    assert_eq!(told[1], "0", "the prefix is not deprecated: {last:?}");
    // It is the last word.
    let all = seen.fields("icmpv6.type == 134", &["icmpv6.nd.ra.router_lifetime"]).unwrap();
    assert_eq!(all.last().unwrap()[0], "0", "{all:?}");
    home.alice
        .wait_for("no default route", PATIENCE, || {
            home.alice.route_to("2001:db8:ffff::1".parse().unwrap()).is_none()
        })
        .unwrap();
    let deprecated = |a: &sixgate_lab::Address| a.deprecated && prefix.contains(&a.net.addr());
    assert!(home.alice.addresses().iter().any(deprecated), "{}", home.alice.state());
    seen.assert_clean("").unwrap();
    isp.stop();
}

#[test]
fn a_host_keeps_its_resolv_conf_up_to_date_and_gets_its_own_back() {
    let pair = pair("lifecycle-resolv");
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    let resolver = "nameserver 2001:db8:5::1\n";
    let config = "[uplink]\ninterface = \"eth0\"\nresolv-conf = \"/etc/resolv.conf\"\n";
    let own = "# mine\nnameserver 2001:db8::53\n";
    let written = |wanted: &str| {
        let read = || pair.alice.read_file("/etc/resolv.conf").unwrap_or_default();
        pair.alice
            .wait_for("resolv.conf", PATIENCE, || read().contains(wanted))
            .unwrap_or_else(|e| panic!("{e}\n{}", read()));
    };
    pair.alice.write_file("/etc/resolv.conf", own).unwrap();
    let client = Sixgate::start(&pair.alice, config);
    written(resolver);
    written("search home.arpa");
    run(&pair.alice, "dig", &["+time=2", "+tries=1", "gateway.home.arpa", "AAAA"])
        .expect(0, &["2001:db8:5::1"]);
    // Killed and started again, it still knows what was there before itself.
    client.kill();
    let client = Sixgate::start(&pair.alice, config);
    written(resolver);
    client.stop();
    assert_eq!(pair.alice.read_file("/etc/resolv.conf").unwrap(), own);
    // What another program has written since stays.
    let client = Sixgate::start(&pair.alice, config);
    written(resolver);
    pair.alice.write_file("/etc/resolv.conf", "# another program's\n").unwrap();
    client.stop();
    assert_eq!(pair.alice.read_file("/etc/resolv.conf").unwrap(), "# another program's\n");
    server.stop();
}

#[test]
fn a_reload_takes_over_what_it_can_and_refuses_the_rest_by_name() {
    let pair = pair("lifecycle-reload");
    let seen = pair.alice.capture("eth0").unwrap();
    let state = "state = \"/run/sixgate/state\"\n";
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    let client = Sixgate::start(&pair.alice, "[uplink]\ninterface = \"eth0\"\n");
    client.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    let leases = |server: &Sixgate| -> Vec<Value> {
        server.leases().into_iter().map(|lease| lease["resource"].clone()).collect()
    };
    let held = leases(&server);
    assert_eq!(held.len(), 1);
    let reload = |config: &str| {
        pair.gw.write_file("/etc/sixgate.toml", format!("{state}{config}")).unwrap();
        server.process.signal(Signal::SIGHUP).unwrap();
    };

    // Parameters of advertisements, lifetimes and names, at once.
    reload(&format!(
        "{SERVER}router-lifetime = 900\nmtu = 1400\nrouter-preference = \"high\"\nvalid-lifetime = 1200\npreferred-lifetime = 600\n\
         [dns.hosts]\n\"nas.example\" = [\"2001:db8:5::77\"]\n"
    ));
    server.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    let changed = "icmpv6.type == 134 && icmpv6.nd.ra.router_lifetime == 900 && icmpv6.opt.mtu == 1400 && \
                   icmpv6.opt.prefix.valid_lifetime == 1200 && icmpv6.opt.prefix.preferred_lifetime == 600 && \
                   icmpv6.nd.ra.flag.prf == 1";
    seen.wait_fields(changed, &["ipv6.src"], 1, PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", server.log()));
    run(&pair.alice, "dig", &["+short", "+time=2", "+tries=1", "@2001:db8:5::1", "nas.example", "AAAA"])
        .expect(0, &["2001:db8:5::77"]);
    assert_eq!(leases(&server), held);
    assert!(server.status()["problems"].as_array().unwrap().is_empty());

    // A mistake: told with its place, and nothing changes.
    reload(&format!("{SERVER}router-lifetime = 900\nmtoo = 1300\n"));
    server.process.wait_line("the configuration has mistakes: the old one stays", PATIENCE).unwrap();
    let log = server.log();
    for words in ["there is no key `mtoo`", "/etc/sixgate.toml:6:1", "did you mean `mtu`?"] {
        assert!(log.contains(words), "{words} is missing in:\n{log}");
    }
    server.wait_status("the problem", |status| {
        status["problems"][0].as_str()?.contains("has mistakes").then_some(())
    });
    run(&pair.alice, "dig", &["+short", "+time=2", "+tries=1", "@2001:db8:5::1", "nas.example", "AAAA"])
        .expect(0, &["2001:db8:5::77"]);

    // What needs a restart is named, key by key.
    reload(&format!("firewall = false\ncontrol-group = \"nogroup\"\n{SERVER}[dhcp]\npreference = 9\n"));
    server.wait_status("the problem", |status| {
        let problem = status["problems"][0].as_str()?;
        ["firewall", "control", "dhcp", "restart"].iter().all(|word| problem.contains(word)).then_some(())
    });
    // And with the file as it should be, the problem is gone.
    reload(SERVER);
    server.wait_status("no problem", |status| status["problems"].as_array()?.is_empty().then_some(()));
    seen.wait_fields("icmpv6.type == 134 && icmpv6.nd.ra.router_lifetime == 1800 && !icmpv6.opt.mtu && icmpv6.nd.ra.flag.prf == 0", &["ipv6.src"], 2, PATIENCE).unwrap();
    run(&pair.alice, "dig", &["+time=2", "+tries=1", "@2001:db8:5::1", "nas.example", "AAAA"])
        .expect(0, &["SERVFAIL"]);
    assert_eq!(leases(&server), held);
    client.stop();
    server.stop();
    seen.stop().unwrap();
    seen.assert_clean("").unwrap();
}

#[test]
fn a_reload_of_the_uplink_names_the_key() {
    let home = home("lifecycle-uplink");
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    // The same words in another order and place are no change.
    let moved = "[[lan]]\ninterface = \"lan0\"\n[[lan]]\ninterface = \"lan1\"\n\n[uplink]\n# moved\ninterface = \"wan0\"\n";
    let reload = |config: &str| {
        home.gw.write_file("/etc/sixgate.toml", format!("state = \"/run/sixgate/state\"\n{config}")).unwrap();
        gateway.process.signal(Signal::SIGHUP).unwrap();
    };
    reload(moved);
    gateway.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    reload(&moved.replace("# moved\n", "prefix-length = 48\n"));
    gateway.process.wait_line("need a restart", PATIENCE).unwrap();
    gateway.wait_status("the key", |status| {
        status["problems"][0].as_str()?.contains("uplink.prefix-length").then_some(())
    });
    gateway.stop();
}

#[test]
fn after_a_kill_the_next_run_cleans_up_and_remembers() {
    let home = home("lifecycle-kill");
    bystander(&home.gw);
    let before = traces(&home.gw);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let delegated = gateway.wait_delegated();
    let prefix = gateway.wait_lan_prefix(0);
    let client = Sixgate::start(&home.alice, "[uplink]\ninterface = \"eth0\"\n");
    client.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    let (duid, leases) = (gateway.status()["duid"].clone(), gateway.leases());
    assert_eq!(leases.len(), 1);
    gateway.kill();
    // What it left, and something that looks like it: routes of ours that nobody wants any more.
    assert_eq!(sysctl(&home.gw, "all/forwarding"), "1");
    run(&home.gw, "ip", &["-6", "route", "add", "2001:db8:dead::/48", "dev", "lan0", "proto", "86"])
        .expect(0, &[]);
    run(&home.gw, "nft", &["add", "chain", "inet", "sixgate", "leftover"]).expect(0, &[]);

    let gateway = Sixgate::start(&home.gw, GATEWAY);
    // Routes stay until the ISP's router is heard again, so that packets go on through the restart.
    let log = gateway.log();
    assert!(log.contains("an earlier run left routes"), "{log}");
    let left = || output(&home.gw, "ip", &["-6", "route", "show", "2001:db8:dead::/48"]);
    home.gw.wait_for("the end of routes that nobody wants", PATIENCE, || left().is_empty()).unwrap();
    assert!(output(&home.gw, "ip", &["-6", "route", "show", "default"]).contains("proto 86"));
    assert!(!output(&home.gw, "nft", &["list", "ruleset"]).contains("leftover"));
    assert_eq!(gateway.wait_delegated(), delegated);
    assert_eq!(gateway.wait_lan_prefix(0), prefix);
    assert_eq!(gateway.status()["duid"], duid);
    let resources = |leases: &[Value]| {
        leases.iter().map(|l| (l["resource"].clone(), l["duid"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(resources(&gateway.leases()), resources(&leases));
    client.stop();
    gateway.stop();
    // Forwarding and accept_ra are as they were before the run that was killed.
    assert_no_trace(&home.gw, &before, "");
    isp.stop();
}

#[test]
fn rules_of_a_killed_run_do_not_outlive_a_run_without_a_firewall() {
    let pair = pair("lifecycle-rules");
    Sixgate::start(&pair.gw, SERVER).kill();
    assert!(output(&pair.gw, "nft", &["list", "ruleset"]).contains("table inet sixgate"));
    let server = Sixgate::start(&pair.gw, &format!("firewall = false\n{SERVER}"));
    assert_eq!(output(&pair.gw, "nft", &["list", "ruleset"]), "");
    server.stop();
}

#[test]
fn names_are_answered_on_the_lan_and_nowhere_else() {
    let home = home("lifecycle-names");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let (prefix, other) = (gateway.wait_lan_prefix(0), gateway.wait_lan_prefix(1));
    wait_in(&home.alice, "eth0", prefix);
    wait_in(&home.bob, "eth0", other);
    // A client that we did not write, which tells its name (RFC 4704).
    home.alice
        .write_file("/run/dhclient.conf", "send fqdn.fqdn \"alice\";\nsend fqdn.server-update on;\nsend fqdn.encoded on;\nalso request dhcp6.fqdn;\n")
        .unwrap();
    let dhclient = [
        "-6",
        "-d",
        "-1",
        "-v",
        "-cf",
        "/run/dhclient.conf",
        "-lf",
        "/run/dhclient.leases",
        "-pf",
        "/run/dhclient.pid",
        "-sf",
        "/bin/true",
        "eth0",
    ];
    let dhclient = home.alice.spawn(&Command::new("dhclient").args(dhclient)).unwrap();
    let lease = sixgate_lab::wait_some(
        "a named lease",
        PATIENCE,
        || gateway.leases().into_iter().find(|l| l["hostname"] == "alice"),
        || format!("{}\n{}", dhclient.output(), gateway.log()),
    )
    .unwrap();
    let address = lease["resource"].as_str().unwrap();

    let resolver = format!("@{}1", prefix.network());
    let dig =
        |host: &Host, arguments: &[&str]| run(host, "dig", &[&["+time=2", "+tries=2"], arguments].concat());
    for transport in ["+notcp", "+tcp"] {
        dig(&home.alice, &[transport, &resolver, "alice.home.arpa", "AAAA"])
            .expect(0, &["NOERROR", address, " aa "]);
        dig(&home.alice, &[transport, &resolver, "-x", address]).expect(0, &["NOERROR", "alice.home.arpa."]);
        dig(&home.alice, &[transport, &resolver, "nobody.home.arpa", "AAAA"]).expect(0, &["NXDOMAIN"]);
        // Asked of the ISP, who knows it from its own file.
        dig(&home.alice, &[transport, &resolver, "far.example", "AAAA"]).expect(0, &["NOERROR", FAR]);
    }
    // Bob asks on his LAN, and through it at the address of the other.
    let own = format!("@{}1", other.network());
    dig(&home.bob, &[&own, "alice.home.arpa", "AAAA"]).expect(0, &[address]);
    dig(&home.bob, &[&resolver, "+tcp", "alice.home.arpa", "AAAA"]).expect(0, &[address]);

    // From outside, at every address that the gateway has: silence. With the firewall, and bound sockets without it.
    let outside: Vec<String> = (home.gw.addresses().into_iter())
        .filter(|a| a.interface != "lo" && !a.net.addr().is_unicast_link_local())
        .map(|a| a.net.addr().to_string())
        .collect();
    assert!(outside.len() >= 3, "{outside:?}");
    let silent = |outside: &[String]| {
        for address in outside {
            for transport in ["+notcp", "+tcp"] {
                let line =
                    format!("dig +time=1 +tries=1 {transport} @{address} alice.home.arpa AAAA; test $? = 9");
                shell(&home.isp, &line).expect(0, &[]);
            }
        }
    };
    silent(&outside);
    dhclient.kill().unwrap();
    gateway.stop();
    let gateway = Sixgate::start(&home.gw, &format!("firewall = false\n{GATEWAY}"));
    gateway.wait_lan_prefix(0);
    gateway.wait_status("an address", |status| status["uplink"]["addresses"].get(0).map(|_| ()));
    silent(&outside[..1]);
    gateway.stop();
    isp.stop();
}

#[test]
fn a_flood_while_it_stops_does_not_keep_it() {
    let pair = pair("lifecycle-flood");
    let before = traces(&pair.gw);
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    let address =
        pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    // Solicit messages without end, each of a new client.
    let flood = "import os, socket, struct\n\
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n\
        i = socket.if_nametoindex('eth0')\n\
        s.bind(('', 546))\n\
        print('flooding', flush=True)\n\
        n = 0\n\
        while True:\n\
        \x20n += 1\n\
        \x20duid = struct.pack('>HHI', 3, 1, n) + b'flood'\n\
        \x20m = b'\\x01' + os.urandom(3) + struct.pack('>HH', 1, len(duid)) + duid + struct.pack('>HHIII', 3, 12, 1, 0, 0) + struct.pack('>HH', 14, 0)\n\
        \x20try: s.sendto(m, ('ff02::1:2', 547, 0, i))\n\
        \x20except OSError: pass\n";
    let flooder = pair.alice.spawn(&Command::new("python3").args(["-c", flood])).unwrap();
    flooder.wait_line("flooding", PATIENCE).unwrap();
    server.wait_status("leases", |status| (status["lans"][0]["leases"].as_u64()? > 200).then_some(()));
    let _ = address;
    server.process.signal(Signal::SIGTERM).unwrap();
    let status = server
        .process
        .wait(Duration::from_secs(20))
        .unwrap_or_else(|e| panic!("{e}\n{}", server.process.log().tail(20)));
    flooder.kill().unwrap();
    assert!(status.success(), "{status}: {}", server.process.log().tail(20));
    assert_no_trace(&pair.gw, &before, "");
}
