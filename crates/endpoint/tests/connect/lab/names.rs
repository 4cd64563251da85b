//! DNS that is late, silent or wrong, and the system's resolver with a real server.

use super::{BOTH, Fixed, NAME, Net, PATIENCE, Reply, V4, V6, connector, fixed, net};
use crate::world::ms;
use sixgate_endpoint::Family;
use sixgate_endpoint::connect::{Connector, FamilyChoice, Outcome, Policy, Question, Rule, policy};
use sixgate_lab as lab;
use std::net::UdpSocket;

fn at(after: u64, addresses: &[&'static str]) -> Reply {
    Reply::At(after, addresses.to_vec())
}

#[test]
fn answers_late_never_and_wrong() {
    let net = net("answers");
    // What AAAA does, what A does; who is reached, from when on, and until when.
    let table = [
        ("AAAA within the delay", at(30, &[V6]), at(0, &[V4]), V6, 30, 150),
        ("AAAA late", at(400, &[V6]), at(0, &[V4]), V4, 50, 250),
        ("AAAA never", Reply::Never, at(0, &[V4]), V4, 50, 250),
        ("AAAA fails", Reply::Fail("SERVFAIL"), at(0, &[V4]), V4, 0, 150),
        ("AAAA bogus", at(0, &["2001:db8:1::dead"]), at(0, &[V4]), V4, 250, 600),
        ("A never", at(0, &[V6]), Reply::Never, V6, 0, 150),
        ("A fails", at(0, &[V6]), Reply::Fail("SERVFAIL"), V6, 0, 150),
        ("A late, AAAA bogus", at(0, &["2001:db8:1::dead"]), at(400, &[V4]), V4, 400, 700),
    ];
    for (what, v6, v4, expected, from, until) in table {
        for driver in BOTH {
            let resolver = Fixed::new(NAME, v6.clone(), v4.clone());
            // A thread that is to answer in time may not be given that time on a slow machine.
            let delay = if what == "AAAA within the delay" { ms(2000) } else { policy().resolution_delay };
            let connector = Connector::new(Policy { resolution_delay: delay, ..policy() })
                .with_resolver(resolver.clone());
            let made = net.connect(driver, &connector, NAME).unwrap();
            resolver.release();
            assert_eq!(made.to(), expected, "{what}, {driver:?}\n{}", made.trace);
            let took = ms(from)..ms(until + 500);
            assert!(took.contains(&made.took), "{what}, {driver:?}: {:?}\n{}", made.took, made.trace);
        }
    }
}

/// Threads of this process that ask a resolver.
fn resolving() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(|task| name(task.unwrap())).filter(|name| name.trim_end() == "resolve").count()
}

#[test]
fn questions_without_end_are_bounded() {
    let net = net("questions");
    let resolver = Fixed::new(NAME, Reply::Never, Reply::Never);
    let hasty = Policy { deadline: ms(20), ..policy() };
    let connector = Connector::new(hasty).with_resolver(resolver.clone());
    for driver in BOTH {
        for _ in 0..40 {
            let error = net.connect(driver, &connector, NAME).unwrap_err().to_string();
            assert_eq!(error.matches("the resolver did not answer").count(), 2, "{error}");
        }
    }
    assert_eq!(resolving(), 32);
    resolver.release();
}

#[test]
fn many_at_once_wait_for_their_turn_and_all_connect() {
    let net = net("many");
    let connector = connector(Fixed::new(NAME, at(20, &[V6]), at(20, &[V4])));
    let connect = {
        let connector = connector.clone();
        move || connector.connect(&NAME.parse().unwrap(), 80).map(|made| made.peer)
    };
    let threads: Vec<_> = (0..100).map(|_| net.client.thread(connect.clone()).unwrap()).collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    let all_at_once = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connect = |connector: Connector| async move {
            connector.connect_async(&NAME.parse().unwrap(), 80).await.map(|made| made.peer)
        };
        let tasks: Vec<_> = (0..1000).map(|_| runtime.spawn(connect(connector.clone()))).collect();
        for task in tasks {
            runtime.block_on(task).unwrap().unwrap();
        }
    };
    net.client.thread(all_at_once).unwrap().join().unwrap();
    assert!(resolving() <= 32, "{}", resolving());
}

#[test]
fn a_runtime_ends_without_waiting_for_the_resolver() {
    let net = net("ends");
    let resolver = Fixed::new(NAME, Reply::Never, at(0, &[V4]));
    let connector = connector(resolver.clone());
    let main = move || {
        let begin = std::time::Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(connector.connect_async(&NAME.parse().unwrap(), 80)).unwrap();
        drop(runtime);
        begin.elapsed()
    };
    let took = net.client.thread(main).unwrap().join().unwrap();
    resolver.release();
    assert!(took < ms(2000), "{took:?}");
}

#[test]
fn a_resolver_that_panics_is_one_without_an_answer() {
    struct Panics;
    impl sixgate_endpoint::resolve::Resolve for Panics {
        fn resolve(
            &self,
            _: &str,
            family: Family,
        ) -> Result<Vec<sixgate_endpoint::Endpoint>, sixgate_endpoint::resolve::ResolveError> {
            panic!("as this test wants it: {family}");
        }
    }
    let net = net("panics");
    for driver in BOTH {
        let connector = Connector::new(policy()).with_resolver(std::sync::Arc::new(Panics));
        let error = net.connect(driver, &connector, NAME).unwrap_err();
        // Both questions were answered, and the deadline not waited for.
        assert_eq!(error.to_string().matches("the resolver panicked").count(), 2, "{driver:?}\n{error}");
        assert!(error.trace().over.unwrap() < policy().deadline);
    }
}

#[test]
fn the_order_is_explained() {
    let net = net("explain");
    let connector = connector(fixed(NAME, &[V6, "2001:db8:ffff::1", "2001:db8:1::2"], &[V4]));
    let explain = move || connector.explain(&NAME.parse().unwrap(), 80);
    let trace = net.client.thread(explain).unwrap().join().unwrap();
    assert_eq!(trace.attempts, []);
    let order: Vec<(String, Rule)> =
        trace.order.iter().map(|place| (place.to.address().to_string(), place.rule)).collect();
    // The one without a route is last of its family.
    let expected = [
        (V6, Rule::Order),
        (V4, Rule::Usable),
        ("2001:db8:1::2", Rule::Precedence),
        ("2001:db8:ffff::1", Rule::Usable),
    ];
    assert_eq!(order, expected.map(|(to, rule)| (to.to_owned(), rule)), "{trace}");
    let source = "2001:db8:1::c".parse().unwrap();
    assert_eq!(trace.order[0].source, Some(source), "{trace}");
    assert!(trace.to_string().contains("candidate 1: [2001:db8:1::1]:80 from 2001:db8:1::c ["), "{trace}");
}

#[test]
fn what_is_left_out_of_a_long_answer_is_told() {
    let net = net("long");
    let long: Vec<&'static str> =
        (1..=64).map(|n| &*format!("2001:db8:1::{n:x}").leak()).chain(["192.0.2.9"]).collect();
    let connector = connector(fixed(NAME, &long, &[V4]));
    let explain = move || connector.explain(&NAME.parse().unwrap(), 80);
    let trace = net.client.thread(explain).unwrap().join().unwrap();
    assert_eq!((trace.questions[0].count, trace.questions[0].left_out), (16, 48), "{trace}");
    assert!(trace.order.iter().all(|place| place.source.is_some()), "{trace}");
}

#[test]
fn zones_are_looked_up_when_used() {
    let net = net("zones");
    let link_local = net.server.wait_link_local("eth0", PATIENCE).unwrap();
    net.client.wait_link_local("eth0", PATIENCE).unwrap();
    for driver in BOTH {
        let connector = Connector::new(policy());
        let made = net.connect(driver, &connector, &format!("{link_local}%eth0")).unwrap();
        assert_eq!(made.peer.to_string(), format!("[{link_local}%eth0]:80"));
        let error = net.connect(driver, &connector, &format!("{link_local}%eth9")).unwrap_err().to_string();
        assert!(error.contains("there is no interface `eth9`"), "{error}");
        let error = net.connect(driver, &connector, &link_local.to_string()).unwrap_err().to_string();
        assert!(error.contains("without its interface"), "{error}");
    }
}

#[test]
fn a_source_can_be_chosen() {
    let net = net("source");
    let second: ipnet::IpNet = "2001:db8:1::d/64".parse().unwrap();
    net.client.add_address_nodad("eth0", second).unwrap();
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4])).with_source("2001:db8:1::d".parse().unwrap());
        let capture = net.server.capture("eth0").unwrap();
        net.connect(driver, &connector, NAME).unwrap();
        let from =
            capture.wait_fields("tcp.flags.syn == 1 && tcp.flags.ack == 0", &["ipv6.src"], 1, PATIENCE);
        assert_eq!(from.unwrap()[0], ["2001:db8:1::d"]);
        // One that is not ours is a failure of that family alone.
        let connector = connector.with_source("2001:db8:1::e".parse().unwrap());
        let made = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(made.to(), V4, "{}", made.trace);
        let error = net.connect(driver, &connector, V6).unwrap_err().to_string();
        assert!(error.contains("2001:db8:1::e") && error.contains("one of this host's"), "{error}");
    }
}

/// dnsmasq on the server.
fn dnsmasq(net: &Net, records: &[&str]) -> lab::Process {
    let fixed =
        ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-"];
    let more = ["--user=root", "--pid-file=", "--port=53", "--bind-interfaces", "--interface=eth0"];
    let command = lab::Command::new("dnsmasq").args(fixed).args(more).args(records);
    let process = net.server.spawn(&command).unwrap();
    lab::wait_for("dnsmasq listens", PATIENCE, || {
        assert!(process.status().is_none(), "{}", process.output());
        // At the address that is asked: it opens one socket after the other.
        let words = V6.parse::<std::net::Ipv6Addr>().unwrap().to_bits().to_be_bytes();
        let word = |at: usize| u32::from_ne_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        let socket = format!("{:08X}{:08X}{:08X}{:08X}:0035", word(0), word(4), word(8), word(12));
        net.server.run(|| std::fs::read_to_string("/proc/thread-self/net/udp6")).unwrap().contains(&socket)
    })
    .unwrap();
    net.client.write_file("/etc/resolv.conf", format!("nameserver {V6}\n")).unwrap();
    process
}

#[test]
fn the_systems_resolver_with_dnsmasq() {
    let net = net("dnsmasq");
    let both = format!("--host-record=both.example,{V4},{V6}");
    let bogus = format!("--host-record=bogus.example,{V4},2001:db8:1::dead");
    let four = format!("--host-record=four.example,{V4}");
    let _dnsmasq = dnsmasq(&net, &[&both, &bogus, &four, "--local=/example/"]);
    for driver in BOTH {
        let connector = Connector::new(policy());
        for (name, to) in [("both.example", V6), ("bogus.example", V4), ("four.example", V4)] {
            let made = net.connect(driver, &connector, name).unwrap();
            assert_eq!(made.to(), to, "{driver:?}\n{}", made.trace);
            assert!(made.took < ms(800), "{name}, {driver:?}: {:?}\n{}", made.took, made.trace);
        }
        let v6 = Connector::new(policy().with_family(FamilyChoice::Ipv6));
        let error = net.connect(driver, &v6, "four.example").unwrap_err().to_string();
        assert!(
            error.contains("IPv6 addresses: there are none") && error.contains("may have an IPv4"),
            "{error}"
        );
        let error = net.connect(driver, &connector, "none.example").unwrap_err().to_string();
        assert!(error.contains("no such name"), "{error}");
        let v4 = Connector::new(policy().with_family(FamilyChoice::Ipv4));
        let error = net.connect(driver, &v4, V6).unwrap_err().to_string();
        assert!(error.contains("it is an IPv6 address, and the choice of family is `ipv4`"), "{error}");
    }
}

#[test]
fn a_final_dot_keeps_the_search_list_away() {
    let net = net("search");
    let [right, wrong] = [("host.example", V6), ("host.example.search.example", "2001:db8:1::2")]
        .map(|(name, to)| format!("--host-record={name},{to}"));
    let _dnsmasq = dnsmasq(&net, &[&right, &wrong, "--local=/example/"]);
    let settings = format!("nameserver {V6}\nsearch search.example\noptions ndots:5\n");
    net.client.write_file("/etc/resolv.conf", settings).unwrap();
    for driver in BOTH {
        for (name, to) in [("host.example.", V6), ("host.example", "2001:db8:1::2")] {
            let made = net.connect(driver, &Connector::new(policy()), name).unwrap();
            assert_eq!(made.to(), to, "{name}, {driver:?}\n{}", made.trace);
        }
    }
}

/// A name server that answers A at once, and AAAA with a code, or never.
fn half_deaf(net: &Net, code: Option<u8>) {
    let socket = net.server.run(|| UdpSocket::bind((V6, 53))).unwrap();
    let serve = move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // RFC 1035 section 4.1: behind twelve octets the name, which ends with a zero; then type and
            // class.
            let Some(end) = buffer[12..length].iter().position(|&octet| octet == 0) else { continue };
            let question_end = 12 + end + 5;
            let a = buffer[12 + end + 2] == 1;
            let mut answer = buffer[..question_end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
            match (a, code) {
                (true, _) => {
                    answer[7] = 1;
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
                }
                (false, Some(code)) => answer[3] |= code,
                (false, None) => continue,
            }
            let _ = socket.send_to(&answer, from);
        }
    };
    // It ends with the test's process.
    net.server.thread(serve).unwrap();
    net.client.write_file("/etc/resolv.conf", format!("nameserver {V6}\n")).unwrap();
}

#[test]
fn the_systems_resolver_with_a_server_that_never_answers_aaaa() {
    let net = net("never");
    half_deaf(&net, None);
    for driver in BOTH {
        let made = net.connect(driver, &Connector::new(policy()), NAME).unwrap();
        assert_eq!(made.to(), V4);
        assert!((ms(50)..ms(500)).contains(&made.took), "{driver:?}: {:?}\n{}", made.took, made.trace);
        let aaaa = made.trace.questions.iter().find(|asked| asked.question == Question::V6).unwrap();
        assert_eq!(aaaa.answered, None);
    }
}

#[test]
fn the_systems_resolver_with_a_server_that_fails_aaaa() {
    let net = net("servfail");
    half_deaf(&net, Some(2));
    for driver in BOTH {
        let made = net.connect(driver, &Connector::new(policy()), NAME).unwrap();
        assert_eq!(
            (made.to().as_str(), &made.trace.attempts[0].outcome),
            (V4, &Outcome::Won),
            "{}",
            made.trace
        );
        assert!(made.took < ms(500), "{driver:?}: {:?}\n{}", made.took, made.trace);
    }
}

#[test]
fn nat64_is_found_and_used() {
    let net = net("nat64");
    // A way to IPv6 alone, and a translator's prefix, behind which the server is.
    let (client, server): (ipnet::IpNet, ipnet::IpNet) =
        ("192.0.2.200/24".parse().unwrap(), "2001:db8:64::c000:201/96".parse().unwrap());
    net.client.remove_address("eth0", client).unwrap();
    net.server.add_address_nodad("eth0", server).unwrap();
    let to: ipnet::IpNet = "2001:db8:64::/96".parse().unwrap();
    net.client.add_route(to, None, "eth0").unwrap();
    let resolver = fixed(NAME, &["2001:db8:1::8"], &[V4]);
    net.break_with("ip6 daddr 2001:db8:1::8 tcp dport 80 drop");
    let discovery = ["2001:db8:64::c000:aa", "2001:db8:64::c000:ab"].to_vec();
    resolver.set("ipv4only.arpa", Family::V6, Reply::At(0, discovery));
    for driver in BOTH {
        for choice in [FamilyChoice::PreferIpv6, FamilyChoice::Ipv6] {
            let connector = Connector::new(policy().with_family(choice)).with_resolver(resolver.clone());
            let made = net.connect(driver, &connector, V4).unwrap();
            assert_eq!(made.to(), "2001:db8:64::c000:201", "{driver:?}\n{}", made.trace);
            assert!(made.took < ms(400), "{:?}\n{}", made.took, made.trace);
        }
        // A name whose AAAA is broken (RFC 8305 section 7.2).
        let made = net.connect(driver, &super::connector(resolver.clone()), NAME).unwrap();
        assert_eq!(made.to(), "2001:db8:64::c000:201", "{driver:?}\n{}", made.trace);
        assert!((ms(2000)..ms(3000)).contains(&made.took), "{:?}\n{}", made.took, made.trace);
    }
}
