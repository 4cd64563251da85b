//! The system's resolver in a lab: each failure that can be provoked for real, by dnsmasq, a dead server, and
//! servers that refuse.
#![cfg(feature = "net")]
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::resolve::{Resolve, ResolveFailure, SystemResolver, lookup};
use sixgate_endpoint::{Family, Host as Peer, nat64};
use sixgate_lab::{Command, Host, Lab, Process, Transport, root_for_tests};
use std::env;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn host(name: &str, resolv: &str) -> (Lab, Host) {
    root_for_tests().unwrap();
    let lab = Lab::new(name).unwrap();
    let host = lab.host("a").unwrap();
    host.write_file("/etc/resolv.conf", resolv).unwrap();
    (lab, host)
}

fn dnsmasq(host: &Host, options: &[&str]) -> Process {
    let fixed = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--log-facility=-",
        "--log-queries",
        "--user=root",
        "--pid-file=",
        "--port=53",
        "--listen-address=::1",
        "--bind-interfaces",
    ];
    let process = host.spawn(&Command::new("dnsmasq").args(fixed).args(options)).unwrap();
    sixgate_lab::wait_for("dnsmasq listens", PATIENCE, || {
        assert!(process.status().is_none(), "{}", process.output());
        host.listening(Transport::Udp, 53)
    })
    .unwrap();
    process
}

/// A name server that answers each question with a code: 2 is SERVFAIL, 3 NXDOMAIN, 5 REFUSED. Counts the
/// questions.
fn answering(host: &Host, code: u8) -> Arc<AtomicU64> {
    let socket = host.run(|| UdpSocket::bind("[::1]:53")).unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    // It ends with the test's process.
    host.thread(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            counter.fetch_add(1, Ordering::Relaxed);
            // RFC 1035 section 4.1.1: a response, recursion available.
            buffer[2] |= 0x80;
            buffer[3] = 0x80 | code;
            let _ = socket.send_to(&buffer[..length], from);
        }
    })
    .unwrap();
    asked
}

fn ask(host: &Host, name: &str, family: Family) -> Result<Vec<String>, ResolveFailure> {
    let answer = host.run(|| SystemResolver.resolve(name, family));
    if let Err(error) = &answer {
        println!("{error}");
        let sentence = error.to_string();
        assert!(
            sentence.contains(&name.escape_debug().to_string()) && sentence.contains(&family.to_string()),
            "{sentence}"
        );
        // R37: no number, no errno's text in its place.
        for wrong in ["os error", "Success", "EAI_", "-2", "-3"] {
            assert!(!sentence.contains(wrong), "{sentence}");
        }
    }
    answer.map(|list| list.iter().map(ToString::to_string).collect()).map_err(|error| error.failure)
}

#[allow(clippy::unnecessary_wraps, reason = "it is compared with answers")]
fn texts(texts: &[&str]) -> Result<Vec<String>, ResolveFailure> {
    Ok(texts.iter().map(ToString::to_string).collect())
}

const OURS: &str = "nameserver ::1\noptions timeout:1 attempts:1\n";

#[test]
fn dnsmasq_is_asked_and_understood() {
    let (_lab, host) = host("dnsmasq", OURS);
    let options = [
        "--local=/invalid/",
        "--local=/example/",
        "--host-record=both.example,192.0.2.80,2001:db8::80",
        "--host-record=four.example,192.0.2.4",
        "--host-record=six.example,2001:db8::6",
        "--host-record=mapped.example,::ffff:192.0.2.7",
        "--txt-record=text.example,hello",
    ];
    let dnsmasq = dnsmasq(&host, &options);
    let ask = |name, family| ask(&host, name, family);
    assert_eq!(ask("both.example", Family::V6), texts(&["2001:db8::80"]));
    assert_eq!(ask("both.example", Family::V4), texts(&["192.0.2.80"]));
    assert_eq!(ask("both.example.", Family::V6), texts(&["2001:db8::80"]));
    // The host has no address but loopback's: with AI_ADDRCONFIG these would be empty.
    assert_eq!(ask("six.example", Family::V6), texts(&["2001:db8::6"]));
    assert_eq!(ask("four.example", Family::V4), texts(&["192.0.2.4"]));
    // The name is there, the family is not: no error.
    assert_eq!(ask("four.example", Family::V6), texts(&[]));
    assert_eq!(ask("six.example", Family::V4), texts(&[]));
    assert_eq!(ask("text.example", Family::V4), texts(&[]));
    assert_eq!(ask("text.example", Family::V6), texts(&[]));
    // A mapped address in an AAAA record is no IPv6 address.
    assert_eq!(ask("mapped.example", Family::V6), texts(&[]));
    assert_eq!(ask("missing.invalid", Family::V6), Err(ResolveFailure::NoSuchName));
    assert_eq!(ask("missing.invalid", Family::V4), Err(ResolveFailure::NoSuchName));
    // dnsmasq refuses what it has no server for.
    assert!(matches!(
        ask("elsewhere.test", Family::V6),
        Err(ResolveFailure::NoAnswer | ResolveFailure::Refused)
    ));

    let both: Peer = "both.example:8080".parse().unwrap();
    let mut list: Vec<String> =
        host.run(|| lookup(&both, 443)).unwrap().iter().map(ToString::to_string).collect();
    list.sort();
    assert_eq!(list, ["192.0.2.80:8080", "[2001:db8::80]:8080"]);
    let four: Peer = "four.example".parse().unwrap();
    assert_eq!(host.run(|| lookup(&four, 443)).unwrap(), ["192.0.2.4:443".parse().unwrap()]);
    let text: Peer = "text.example".parse().unwrap();
    assert_eq!(host.run(|| lookup(&text, 443)).unwrap(), []);
    let mapped: Peer = "mapped.example".parse().unwrap();
    assert_eq!(host.run(|| lookup(&mapped, 443)).unwrap(), ["192.0.2.7:443".parse().unwrap()]);
    let missing: Peer = "missing.invalid".parse().unwrap();
    let error = host.run(|| lookup(&missing, 443)).unwrap_err();
    assert_eq!((error.failure, error.family), (ResolveFailure::NoSuchName, None));
    assert!(
        error.to_string().starts_with("cannot resolve `missing.invalid` (both families): no such name"),
        "{error}"
    );

    // Addresses, and what nearly is one, are never asked for.
    for name in ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "127.1", "0x7f.1", "192.0.2.1:53", "a\0b", "a b"]
    {
        let _ = ask(name, Family::V6);
        let _ = ask(name, Family::V4);
    }
    assert_eq!(ask("last.invalid", Family::V4), Err(ResolveFailure::NoSuchName));
    sixgate_lab::wait_for("dnsmasq has told the last question", PATIENCE, || {
        dnsmasq.output().contains("last.invalid")
    })
    .unwrap();
    let asked = dnsmasq.output();
    for never in ["192.0.2.1 ", "fe80", "127.1", "0x7f", "query[A] a", "query[AAAA] a"] {
        assert!(
            !asked.lines().any(|line| line.contains("query") && line.contains(never)),
            "{never}:\n{asked}"
        );
    }
}

#[test]
fn names_of_the_hosts_file_keep_their_families_and_need_no_server() {
    let (_lab, host) = host("hosts", "");
    host.write_file(
        "/etc/hosts",
        "127.0.0.1 localhost\n::1 localhost\nfe80::77 printer\nfe80::78%lo scoped\n\
         192.0.2.9 four\n2001:db8::9 six twice\n\
         2001:db8::9 twice\n2001:db8::a twice\n",
    )
    .unwrap();
    let ask = |name, family| ask(&host, name, family);
    assert_eq!(ask("localhost", Family::V6), texts(&["::1"]));
    assert_eq!(ask("localhost", Family::V4), texts(&["127.0.0.1"]));
    assert_eq!(ask("four", Family::V4), texts(&["192.0.2.9"]));
    assert_eq!(ask("six", Family::V6), texts(&["2001:db8::9"]));
    assert_eq!(ask("printer", Family::V6), texts(&["fe80::77"]));
    // glibc takes no zone here. Should it learn to, the zone has to arrive.
    match ask("scoped", Family::V6) {
        Err(failure) => assert_eq!(failure, ResolveFailure::NoAnswer),
        Ok(list) => assert_eq!(list, ["fe80::78%1"]),
    }
    // Whether DNS has one nobody can tell without a server; that is not "no such name".
    assert_eq!(ask("four", Family::V6), Err(ResolveFailure::NoAnswer));
    assert_eq!(ask("twice", Family::V6).map(|list| list.len()), Ok(2), "each address once");
}

#[test]
fn a_dead_server_is_temporary_and_said_so() {
    // Nothing listens there: the kernel answers that at once.
    let (_lab, host) = host("deadserver", OURS);
    for family in Family::BOTH {
        assert_eq!(ask(&host, "www.example", family), Err(ResolveFailure::NoAnswer));
    }
    // One that takes questions and never answers.
    let silent = host.run(|| UdpSocket::bind("[::1]:53")).unwrap();
    assert_eq!(ask(&host, "www.example", Family::V6), Err(ResolveFailure::NoAnswer));
    drop(silent);
    // None at all, but a family that is not there.
    let error = host.run(|| nat64::discover(&SystemResolver)).unwrap_err();
    assert!(error.is_temporary());
}

#[test]
fn servers_that_fail_and_refuse() {
    for (code, name) in [(2, "servfail"), (5, "refused"), (4, "notimp")] {
        let (_lab, host) = host(name, OURS);
        let asked = answering(&host, code);
        for family in Family::BOTH {
            let failure = ask(&host, "www.example", family).unwrap_err();
            println!("{name}: {failure}");
            assert!(
                matches!(failure, ResolveFailure::NoAnswer | ResolveFailure::Refused),
                "{name}: {failure}"
            );
        }
        assert!(asked.load(Ordering::Relaxed) > 0);
    }
    let (_lab, host) = host("nxdomain", OURS);
    answering(&host, 3);
    assert_eq!(ask(&host, "www.example", Family::V6), Err(ResolveFailure::NoSuchName));
}

/// No test of its own: this program executed again in a host, with few file descriptors or without a family.
#[test]
fn asks_where_something_is_missing() {
    let Ok(missing) = env::var("SIXGATE_TEST_MISSING") else { return };
    let kept = match missing.as_str() {
        "descriptors" => {
            let mut kept = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                kept.push(file);
            }
            kept
        }
        family => {
            sixgate_linux::sandbox::refuse_family(family.parse().unwrap()).unwrap();
            Vec::new()
        }
    };
    for (name, family) in [("www.example", Family::V6), ("www.example", Family::V4), ("six", Family::V6)] {
        match SystemResolver.resolve(name, family) {
            Ok(list) => println!("said: {name} {family} {list:?}"),
            Err(error) => println!("said: {name} {family} {:?} {error}", error.failure),
        }
    }
    drop(kept);
}

#[test]
fn a_machine_that_lacks_something_is_told_apart() {
    let (_lab, host) = host("lacking", OURS);
    host.write_file("/etc/hosts", "2001:db8::9 six\n").unwrap();
    let _asked = answering(&host, 3);
    let said = |missing: &str| {
        let again = format!(
            "ulimit -n 40; exec {} --exact asks_where_something_is_missing --nocapture",
            env::current_exe().unwrap().display()
        );
        let process = host
            .spawn(&Command::new("sh").args(["-c", &again]).env("SIXGATE_TEST_MISSING", missing))
            .unwrap();
        assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
        process.output()
    };
    let text = said("descriptors");
    assert!(text.contains("www.example IPv6 Exhausted"), "{text}");
    // Without IPv6 sockets its name server is out of reach, and its hosts file is not. (Asked once more,
    // glibc 2.36 says that there is no such name; it forgets why it has no server.)
    let text = said("10");
    assert!(text.contains("www.example IPv6 NoAnswer"), "{text}");
    assert!(text.contains("said: six IPv6 [2001:db8::9]"), "{text}");
    let text = said("2");
    assert!(text.contains("www.example IPv6 NoSuchName"), "{text}");
}
