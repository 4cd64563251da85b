//! The guide's two programs, as they are before and after the afternoon: each family is taken away, and they are launched.

use ipnet::IpNet;
use sixgate_endpoint::Family;
use sixgate_lab::{Command, Host, Lab, Link, Process, root_for_tests};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Cargo builds the examples beside the tests, where it is not told to build this test alone.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE").join("examples");
    assert!(folder.join(name).exists(), "build it first, with `cargo build --examples`: {name}");
    folder.join(name)
}

/// A server and a client on one link, with addresses of these families and none of the other: on loopback neither.
struct World {
    _lab: Lab,
    server: Host,
    client: Host,
}

impl World {
    fn new(name: &str, families: &[Family]) -> Self {
        root_for_tests().expect("root");
        let lab = Lab::new(name).expect("a lab");
        let (server, client) = (lab.host("server").expect("a host"), lab.host("client").expect("a host"));
        lab.link(Link::between((&server, "eth0"), (&client, "eth0"))).expect("a link");
        let mut names = String::new();
        for family in families {
            let (here, there) = match family {
                Family::V4 => ("192.0.2.1/24", "192.0.2.2/24"),
                Family::V6 => ("2001:db8::1/64", "2001:db8::2/64"),
            };
            for (host, address) in [(&server, here), (&client, there)] {
                host.add_address_nodad("eth0", address.parse::<IpNet>().expect("a prefix"))
                    .expect("an address");
            }
            let address = here.split_once('/').expect("a prefix").0;
            writeln!(names, "{address} server.example").expect("room");
        }
        client.write_file("/etc/hosts", &names).expect("names");
        for host in [&server, &client] {
            if !families.contains(&Family::V4) {
                let _ = host.remove_address("lo", "127.0.0.1/8".parse::<IpNet>().expect("a prefix"));
            }
            if !families.contains(&Family::V6) {
                host.sysctl("net/ipv6/conf/all/disable_ipv6", "1").expect("a setting");
            }
        }
        Self { _lab: lab, server, client }
    }

    fn serve(&self, program: &str, arguments: &[&str]) -> Process {
        let arguments = [&["serve"], arguments].concat();
        let server = self.server.spawn(&Command::new(example(program)).args(arguments)).expect("a program");
        self.server
            .wait_for("the server says where it listens, or ends", PATIENCE, || {
                server.output().contains(":7777") || server.status().is_some()
            })
            .expect("one of them");
        server
    }

    /// What the client prints; `Err` with it where the client fails.
    fn get(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let arguments = [&["get"], arguments].concat();
        let client = self.client.spawn(&Command::new(example(program)).args(arguments)).expect("a program");
        let status = client.wait(PATIENCE).expect("an end");
        if status.success() { Ok(client.output()) } else { Err(client.output()) }
    }
}

#[test]
fn before_it_works_over_ipv4_alone() {
    let both = World::new("guide-before-both", &[Family::V4, Family::V6]);
    let _server = both.serve("greeter_before", &["192.0.2.1:7777"]);
    assert!(
        both.get("greeter_before", &["server.example:7777"]).expect("IPv4").starts_with("hello 192.0.2.2:")
    );

    let v6 = World::new("guide-before-v6", &[Family::V6]);
    let server = v6.serve("greeter_before", &["192.0.2.1:7777"]);
    assert!(server.status().is_some_and(|status| !status.success()));
    assert!(v6.serve("greeter_before", &["[2001:db8::1]:7777"]).status().is_some());
    v6.get("greeter_before", &["server.example:7777"]).expect_err("no IPv4");
}

#[test]
fn after_it_works_over_either() {
    for (name, families, greeted) in [
        ("guide-both", &[Family::V4, Family::V6][..], "hello [2001:db8::2]:"),
        ("guide-v4", &[Family::V4], "hello 192.0.2.2:"),
        ("guide-v6", &[Family::V6], "hello [2001:db8::2]:"),
    ] {
        let world = World::new(name, families);
        let server = world.serve("greeter", &[]);
        assert!(server.status().is_none(), "{name}: {}", server.output());
        // The default port, and one that is named.
        for host in ["server.example", "server.example:7777"] {
            let line = world.get("greeter", &[host]).unwrap_or_else(|output| panic!("{name}: {output}"));
            assert!(line.starts_with(greeted), "{name}: {line}");
        }
        // The user's word goes before ours.
        for (flag, family, greeted) in
            [("-4", Family::V4, "hello 192.0.2.2:"), ("-6", Family::V6, "hello [2001:db8::2]:")]
        {
            let said = world.get("greeter", &[flag, "server.example"]);
            assert_eq!(said.is_ok(), families.contains(&family), "{name}: {said:?}");
            assert!(
                said.is_ok_and(|line| line.starts_with(greeted)) || !families.contains(&family),
                "{name}"
            );
        }
        let told = format!("greeted peer={}", greeted.trim_start_matches("hello "));
        assert!(server.output().contains(&told), "{name}: {}", server.output());
    }
}

#[test]
fn after_it_takes_the_guides_link_local_and_refuses_strangers() {
    let world = World::new("guide-link-local", &[Family::V4, Family::V6]);
    let address = world.server.wait_link_local("eth0", PATIENCE).expect("a link-local address");
    let scoped = format!("{address}%eth0");
    let server = world.serve("greeter", &["--listen", &scoped]);
    assert!(server.status().is_none(), "{}", server.output());
    // It says what such a listener is good for, and obeys.
    assert!(server.output().contains("is a link-local address"), "{}", server.output());
    world.client.wait_link_local("eth0", PATIENCE).expect("a link-local address");
    let line = world.get("greeter", &[&format!("[{scoped}]:7777")]).expect("a greeting");
    assert!(line.starts_with("hello [fe80::"), "{line}");

    let stranger = World::new("guide-stranger", &[Family::V4, Family::V6]);
    for (host, address) in [(&stranger.server, "198.51.100.1/24"), (&stranger.client, "198.51.100.2/24")] {
        host.add_address("eth0", address.parse::<IpNet>().expect("a prefix")).expect("an address");
    }
    let server = stranger.serve("greeter", &[]);
    let line = stranger.get("greeter", &["198.51.100.1"]).expect("a connection");
    assert_eq!(line, "");
    server.wait_line("refused 198.51.100.2 denied: no rule holds it", PATIENCE).expect("the reason");
}

#[test]
fn a_rule_for_a_link_holds_the_peers_of_that_link() {
    use sixgate_endpoint::listen::Listen;
    use sixgate_endpoint::{Endpoint, acl::Acl, interface_index};
    let world = World::new("guide-zones", &[Family::V6]);
    let address = world.server.wait_link_local("eth0", PATIENCE).expect("a link-local address");
    world.client.wait_link_local("eth0", PATIENCE).expect("a link-local address");
    let there = format!("[{address}%eth0]:7777");
    let (listening, go) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            world.server.run(|| {
                let endpoint: Endpoint = there.parse().expect("an endpoint");
                let mut listeners = Listen::at([endpoint]).warn_with(|_| {}).tcp().expect("a listener");
                listening.send(()).expect("the client waits");
                let (_, peer) = listeners.accept().expect("the client");
                assert_eq!(peer.zone().and_then(|zone| zone.index()).map(u32::from), interface_index("eth0"));
                let judged = |text: &str| {
                    let acl: Acl = text.parse().expect("a list");
                    (acl.decide_here(peer).is_allowed(), acl.decide(peer).is_allowed())
                };
                // The kernel gives the index; people write the name. Without the kernel's word doubt denies.
                assert_eq!(judged("allow fe80::%eth0/10"), (true, false));
                assert_eq!(judged("allow fe80::%lo/10"), (false, false));
                assert_eq!(judged("deny fe80::%lo/10\nallow fe80::/10"), (true, false));
                assert_eq!(judged("deny fe80::%eth0/10\nallow fe80::/10"), (false, false));
            });
        });
        go.recv_timeout(PATIENCE).expect("the server listens");
        world.client.run(|| {
            let to: Endpoint = there.parse().expect("an endpoint");
            std::net::TcpStream::connect(to.socket_addr(0).expect("eth0")).expect("the server");
        });
    });
}
