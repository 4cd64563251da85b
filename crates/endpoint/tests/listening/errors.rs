//! What cannot be had is said, with what to do.

use super::*;
use sixgate_endpoint::listen::{ListenError, ListenFailure, Refreshed};
use std::env;

fn refused(host: &Host, ends: &[&str]) -> ListenError {
    let ends: Vec<Endpoint> = ends.iter().map(|text| endpoint(text)).collect();
    let error = host.run(|| Listen::at(ends).tcp().map(|listeners| listeners.to_string())).unwrap_err();
    println!("{error}");
    error
}

#[test]
fn errors_teach() {
    let (_lab, server, _client) = two("errors");
    let _taken = server.run(|| Listen::at([endpoint("[2001:db8::1]:8080")]).tcp()).unwrap();
    for (end, failure, words) in [
        ("[2001:db8::1]:8080", ListenFailure::InUse, "the port is taken; `ss -tlnp sport = :8080`"),
        ("[2001:db8::9]:8080", ListenFailure::NoSuchAddress, "`ip address` lists what there is"),
        ("192.0.2.9:8080", ListenFailure::NoSuchAddress, "no interface of this machine has the address"),
        ("[fe80::1]:8080", ListenFailure::NoSuchZone, "as in [fe80::1%eth0]:8080; there are lo, eth0"),
        ("[fe80::1%eth9]:8080", ListenFailure::NoSuchZone, "no interface `eth9`; there are lo, eth0"),
        ("[fe80::1%99]:8080", ListenFailure::NoSuchZone, "no interface `99`; there are lo, eth0"),
        ("2001:db8::1", ListenFailure::Nothing, "write [2001:db8::1]:8080"),
    ] {
        let error = refused(&server, &[end]);
        assert_eq!(error.failure, failure, "{error}");
        assert!(error.to_string().starts_with(&format!("cannot listen on TCP {end}: ")), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        // One that is wrong spoils all.
        assert_eq!(refused(&server, &["127.0.0.1:1234", end]).failure, failure);
    }
    assert_eq!(refused(&server, &[]).failure, ListenFailure::Nothing);
    server.sysctl("net/ipv6/conf/lo/disable_ipv6", "1").unwrap();
    assert!(refused(&server, &["[::1]:8080"]).to_string().contains("::1 is away"));
    // A mapped listener of another program is one on 0.0.0.0.
    let _mapped = open(&server, Policy::BothMapped, 8081);
    let error = refused(&server, &["0.0.0.0:8081"]);
    assert!(error.to_string().contains("a listener on [::] that takes IPv4 too"), "{error}");
}

/// No test of its own: this program executed again in a host, with less than it needs.
#[test]
fn listens_with_less() {
    let Ok(task) = env::var("SIXGATE_TEST_LESS") else { return };
    let mut listeners = match task.as_str() {
        "port" => {
            let error = Listen::on(Policy::Both, 80).tcp().unwrap_err();
            println!("said {:?}: {error}", error.failure);
            return;
        }
        "families" => {
            sixgate_linux::sandbox::refuse_family(10).unwrap();
            let error = Listen::on(Policy::Both, 8080).require_both().tcp().unwrap_err();
            println!("said {:?}: {error}", error.failure);
            sixgate_linux::sandbox::refuse_family(2).unwrap();
            for policy in Policy::ALL {
                let error = Listen::on(policy, 8080).tcp().unwrap_err();
                println!("said {policy} {:?}: {error}", error.failure);
            }
            return;
        }
        "follow" => return without_descriptors_it_follows(),
        "accept" => {
            let mut listeners = Listen::on(Policy::Both, 8080).tcp().unwrap();
            let error = listeners.accept_timeout(Duration::from_millis(100)).unwrap_err();
            println!("said {error}, {:?}", listeners.counters());
            return;
        }
        #[cfg(feature = "tokio")]
        "tokio" => return without_descriptors_on_tokio(),
        "table" | "netlink" => {
            if task == "netlink" {
                sixgate_linux::sandbox::refuse_family(16).unwrap();
            }
            let ends = ["[fe80::1%eth0]:8080", "127.0.0.1:8080"].map(endpoint);
            drop(Listen::at(ends).warn_with(|warning| println!("warned: {warning}")).tcp().unwrap());
            return;
        }
        _ => Listen::on(Policy::Both, 8080).tcp().unwrap(),
    };
    // Without descriptors: peers wait, nothing spins, and they are served when there are some again.
    let mut kept = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        kept.push(file);
    }
    println!("full");
    let mut left = 3;
    loop {
        if let Some((stream, peer)) = listeners.accept_timeout(Duration::from_millis(400)).unwrap() {
            println!("accepted {peer}");
            drop(stream);
            return;
        }
        let exhausted = listeners.counters().exhausted;
        if exhausted > 0 {
            left -= 1;
        }
        if left == 0 {
            // 1.2 seconds at most, with pauses that double from 10 ms.
            println!("exhausted {exhausted} times");
            kept.clear();
        }
    }
}

/// An interface goes while no descriptor is left.
fn without_descriptors_it_follows() {
    let ends = ["[fe80::1%eth0]:8080", "[::1]:8080"].map(endpoint);
    let mut listeners = Listen::at(ends).warn_with(|_| ()).tcp().unwrap();
    let mut kept = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        kept.push(file);
    }
    println!("full");
    let mut turns = 0;
    while listeners.sockets().count() == 2 {
        assert!(listeners.accept_timeout(Duration::from_secs(1)).unwrap().is_none());
        turns += 1;
    }
    assert!(turns < 10, "followed after {turns} turns");
}

/// The same; later there are some again.
#[cfg(feature = "tokio")]
fn without_descriptors_on_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ends = ["[fe80::1%eth0]:8080", "[::1]:8080"].map(endpoint);
    let listeners = Listen::at(ends).warn_with(|warning| println!("warned: {warning}")).tcp().unwrap();
    runtime.block_on(async {
        let mut listeners = listeners.into_tokio().unwrap();
        let mut kept = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            kept.push(file);
        }
        println!("full");
        let mut turns = 0;
        while listeners.sockets().count() == 2 {
            let accepted = tokio::time::timeout(Duration::from_secs(1), listeners.accept()).await;
            assert!(accepted.is_err(), "{accepted:?}");
            turns += 1;
        }
        assert!(turns < 10, "followed after {turns} turns");
        println!("replaced");
        drop(kept);
        println!("accepted {}", listeners.accept().await.unwrap().1);
    });
}

fn with_less(host: &Host, task: &str, prefix: &str) -> Process {
    // Mounts are its own.
    let again = format!(
        "{prefix} {} --exact listening::errors::listens_with_less --nocapture",
        env::current_exe().unwrap().display()
    );
    host.spawn(&Command::new("unshare").args(["-m", "sh", "-ec", &again]).env("SIXGATE_TEST_LESS", task))
        .unwrap()
}

#[test]
fn a_low_port_needs_a_privilege_and_the_error_says_which() {
    let lab = lab("lowport");
    let host = lab.host("a").unwrap();
    let process = with_less(
        &host,
        "port",
        "exec setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service",
    );
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    assert!(said.contains("said Permission: cannot listen on TCP [::]:80: ports below"), "{said}");
    assert!(said.contains("CAP_NET_BIND_SERVICE"), "{said}");
}

#[test]
fn families_that_are_required_are_an_error() {
    let lab = lab("required");
    let host = lab.host("a").unwrap();
    let process = with_less(&host, "families", "exec");
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    assert!(
        said.contains("said NoFamily: cannot listen on TCP [::]:8080: this system has no IPv6"),
        "{said}"
    );
    for policy in ["both", "both-mapped"] {
        assert!(said.contains(&format!("said {policy} NoFamily: ")), "{said}");
    }
    assert_eq!(said.matches("neither family can be had").count(), 2, "{said}");
}

/// Without /proc, or without netlink, it serves, and says what it could not do.
#[test]
fn what_cannot_be_verified_or_followed_is_said() {
    let (_lab, server, _client) = two("sandboxed");
    let process = with_less(&server, "table", "mount -t tmpfs none /proc; exec");
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    let words = "listens as asked, but could not be looked up in the kernel's table: /proc/net: ";
    for end in ["[fe80::1%eth0]:8080", "127.0.0.1:8080"] {
        assert!(said.contains(&format!("warned: {end} {words}")), "{said}");
    }
    assert_eq!(said.matches("warned: ").count(), 3, "{said}");

    let process = with_less(&server, "netlink", "exec");
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    assert!(
        said.contains("warned: listeners on an interface that is removed and comes back are not"),
        "{said}"
    );
    assert_eq!(said.matches("warned: ").count(), 2, "{said}");
}

#[test]
fn without_descriptors_peers_wait_and_nothing_spins() {
    let lab = lab("descriptors");
    let host = lab.host("a").unwrap();
    let process = with_less(&host, "descriptors", "ulimit -n 40; exec");
    soon("no descriptor is left", || process.output().contains("full").then_some(()));
    let _peer = host.run(|| std::net::TcpStream::connect(socket_addr("[::1]:8080"))).unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    assert!(said.contains("accepted [::1]:"), "{said}");
    let line = said.lines().find(|line| line.starts_with("exhausted ")).unwrap_or_else(|| panic!("{said}"));
    let times: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1..100).contains(&times), "{said}");
}

#[test]
fn patience_waits_for_addresses_and_interfaces() {
    let (_lab, server, client) = two("patient");
    let (heard, hear) = kept();
    let ends = ["[2001:db8::77]:8080", "[fe80::1%late0]:8080", "[fe80::99%eth0]:8080"].map(endpoint);
    let mut listeners = server.run(|| Listen::at(ends).patient().warn_with(hear).tcp()).unwrap();
    let told: Vec<String> = heard.lock().unwrap().iter().map(ToString::to_string).collect();
    for (end, words) in [
        ("[2001:db8::77]:8080", "is not there yet: no interface has the address"),
        ("[fe80::1%late0]:8080", "is not there yet: this machine has no interface `late0`"),
        ("[fe80::99%eth0]:8080", "is not there yet: no interface has the address"),
        ("[fe80::99%eth0]:8080", "is a link-local address: only machines on the same link"),
    ] {
        assert!(told.iter().any(|text| text.starts_with(end) && text.contains(words)), "{end}: {told:#?}");
    }
    assert!(listeners.to_string().contains("[fe80::1%late0]:8080 (waits for its interface)"), "{listeners}");
    // They come.
    sh(&server, "ip address add 2001:db8::77/64 dev eth0 nodad; ip address add fe80::99/64 dev eth0 nodad");
    for (url, from) in
        [("http://[2001:db8::77]:8080/", "2001:db8::2"), ("http://[fe80::99%25eth0]:8080/", "fe80::")]
    {
        let peer = curl(&client, url);
        let told = serve_one(&server, &mut listeners);
        assert!(told.to_string().starts_with(from), "{told}");
        assert!(peer.wait(PATIENCE).unwrap().success(), "{}", peer.output());
    }
    assert_eq!(server.run(|| listeners.refresh()), []);
    sh(&server, "ip link add late0 type veth peer name late1; ip link set late0 up; ip link set late1 up");
    // `accept` sees to it.
    soon("it is open", || {
        assert!(server.run(|| listeners.accept_timeout(Duration::from_millis(50))).unwrap().is_none());
        listening(&server, 't').iter().any(|local| local == "[fe80::1]%late0:8080").then_some(())
    });
    let opened = Warning::Refreshed(Refreshed::Opened(endpoint("[fe80::1%late0]:8080")));
    assert!(heard.lock().unwrap().contains(&opened));
}

/// What a sandbox forbids is no matter of a peer that has gone: it is said, and nothing spins.
#[test]
fn a_sandbox_that_forbids_to_accept_is_an_error() {
    let lab = lab("accept");
    let host = lab.host("a").unwrap();
    let process = with_less(&host, "accept", "exec strace -f -o /dev/null -e inject=accept4:error=EPERM");
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    let said = process.output();
    assert!(said.contains("said Operation not permitted (os error 1), "), "{said}");
    assert!(said.contains("aborted: 100,"), "{said}");
}

#[cfg(feature = "tokio")]
#[test]
fn without_descriptors_tokio_follows_its_interfaces_later() {
    let (_lab, server, _client) = two("tokiofull");
    let process = with_less(&server, "tokio", "ulimit -n 40; exec");
    soon("no descriptor is left", || process.output().contains("full").then_some(()));
    sh(&server, "ip link set eth0 name eth1");
    soon("its sockets are replaced", || process.output().contains("replaced").then_some(()));
    let _peer = server.run(|| std::net::TcpStream::connect(socket_addr("[::1]:8080"))).unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    assert!(process.output().contains("accepted [::1]:"), "{}", process.output());
}

#[test]
fn without_descriptors_interfaces_are_followed() {
    let (_lab, server, _client) = two("full");
    let process = with_less(&server, "follow", "ulimit -n 40; exec");
    soon("no descriptor is left", || process.output().contains("full").then_some(()));
    sh(&server, "ip link set eth0 name eth1");
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
}
