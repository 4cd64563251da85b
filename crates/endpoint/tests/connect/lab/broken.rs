//! Broken IPv6: blackholed, rejected, slow; eight addresses of which seven are dead.

use super::{BOTH, Driver, NAME, PATIENCE, V4, V6, connector, fixed, net, net_with, run};
use crate::world::ms;
use sixgate_endpoint::connect::{Connector, Failure, Outcome, Policy, Rule, policy};

#[test]
fn a_blackhole_costs_one_attempt_delay_once() {
    let net = net("blackhole");
    net.break_with("ip6 daddr 2001:db8:1::/64 tcp dport 80 drop");
    let capture = net.server.capture("eth0").unwrap();
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        let first = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(first.to(), V4, "{}", first.trace);
        assert!((ms(250)..ms(1000)).contains(&first.took), "{driver:?}: {:?}\n{}", first.took, first.trace);
        assert_eq!(first.handshakes, [] as [String; 0], "{driver:?}: a loser is left");
        assert_eq!(first.trace.attempts[0].outcome, Outcome::Lost);
        // And it is remembered.
        let second = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!((second.to().as_str(), second.trace.attempts[0].rule), (V4, Rule::Remembered));
        assert!(second.took < ms(245), "{driver:?}: {:?}\n{}", second.took, second.trace);
        assert_eq!(connector.remembered()[0].ipv4.connected, 2);
    }
    // The wire's word: 250 ms from the first SYN of IPv6 to that of IPv4, twice, and never two at once.
    let syn = "tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.dstport == 80";
    let fields = ["frame.time_relative", "ipv6.dst", "ip.dst"];
    let rows = capture.wait_fields(syn, &fields, 6, PATIENCE).unwrap();
    let at = |row: &[String]| row[0].parse::<f64>().unwrap();
    let gaps: Vec<f64> = rows
        .windows(2)
        .filter(|pair| !pair[0][1].is_empty())
        .map(|pair| at(&pair[1]) - at(&pair[0]))
        .collect();
    assert_eq!(gaps.len(), 2, "{rows:?}");
    assert!(gaps.iter().all(|gap| (0.245..1.0).contains(gap)), "{gaps:?}");
}

#[test]
fn what_is_rejected_costs_next_to_nothing() {
    // With a delay, as on every real link: an ICMPv6 error that comes while `connect` still holds the socket
    // counts as a passing one for Linux (`tcp_v6_err`), and within one machine it does.
    // Long enough for a slow machine too, as is the delay that must not be waited for.
    let net = net_with("reject", |link| link.delay(ms(40)));
    let patient = Policy { attempt_delay: ms(2000), ..policy() };
    let rules = [
        ("reject with tcp reset", Failure::Refused),
        ("reject with icmpv6 type admin-prohibited", Failure::Prohibited),
        ("reject with icmpv6 type no-route", Failure::Unreachable),
    ];
    for (rule, failure) in rules {
        net.break_with(&format!("ip6 daddr 2001:db8:1::/64 tcp dport 80 {rule}"));
        for driver in BOTH {
            let connector = Connector::new(patient).with_resolver(fixed(NAME, &[V6], &[V4]));
            let made = net.connect(driver, &connector, NAME).unwrap();
            assert_eq!(made.to(), V4);
            assert_eq!(
                made.trace.attempts[0].outcome,
                Outcome::Failed(failure.clone()),
                "{rule}, {driver:?}"
            );
            assert!(made.took < ms(1900), "{rule}, {driver:?}: {:?}\n{}", made.took, made.trace);
            let apart = made.trace.attempts[1].at.saturating_sub(made.trace.attempts[0].at);
            assert!(apart >= ms(10), "{rule}, {driver:?}: {apart:?}");
        }
    }
}

#[test]
fn a_slow_family_that_works_is_used() {
    // 60 ms of round trip: well below the delay.
    let net = net_with("slow", |link| link.delay(ms(30)));
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        let made = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!((made.to().as_str(), made.trace.attempts.len()), (V6, 1), "{driver:?}\n{}", made.trace);
        assert!(made.took >= ms(60), "{:?}", made.took);
    }
}

#[test]
fn a_slower_family_loses_or_wins_but_costs_no_more_than_a_delay() {
    // 400 ms of round trip: both families are under way, and the first to have started wins.
    let net = net_with("slower", |link| link.delay(ms(200)));
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        let made = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(made.to(), V6);
        assert_eq!(made.trace.attempts[1].outcome, Outcome::Lost, "{driver:?}\n{}", made.trace);
        assert_eq!(made.handshakes, [] as [String; 0], "{driver:?}: the loser is left");
        assert!((ms(400)..ms(1000)).contains(&made.took), "{driver:?}: {:?}\n{}", made.took, made.trace);
    }
}

#[test]
fn seven_of_eight_are_dead() {
    let net = net("eight");
    net.break_with("ip6 daddr 2001:db8:1::1-2001:db8:1::7 tcp dport 80 drop");
    let all = ["1", "2", "3", "4", "5", "6", "7", "8"].map(|n| format!("2001:db8:1::{n}"));
    let all: Vec<&'static str> = all.into_iter().map(|address| &*address.leak()).collect();
    for driver in BOTH {
        let connector = connector(fixed(NAME, &all, &[]));
        let made = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!((made.to().as_str(), made.trace.attempts.len()), ("2001:db8:1::8", 8), "{}", made.trace);
        assert!((ms(1750)..ms(2900)).contains(&made.took), "{driver:?}: {:?}\n{}", made.took, made.trace);
        assert_eq!(made.handshakes, [] as [String; 0], "{driver:?}: losers are left");
    }
}

#[test]
fn nothing_connects_and_the_error_says_so() {
    let net = net("nothing");
    net.break_with("tcp dport 80 reject with tcp reset");
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        let error = net.connect(driver, &connector, NAME).unwrap_err().to_string();
        for part in
            ["www.example.com:80", "[2001:db8:1::1]:80: refused", "192.0.2.1:80: refused", "check the port"]
        {
            assert!(error.contains(part), "{driver:?}: {part} is not in\n{error}");
        }
        // The deadline holds against silence.
        net.break_with("tcp dport 80 drop");
        let short = Connector::new(Policy { deadline: ms(300), ..policy() });
        for address in [V6, V4] {
            let error = net.connect(driver, &short, address).unwrap_err();
            assert_eq!(error.trace().attempts[0].outcome, Outcome::GivenUp, "{error}");
            let over = error.trace().over.unwrap();
            assert!((ms(300)..ms(900)).contains(&over), "{driver:?}: {over:?}");
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
        }
        net.break_with("tcp dport 80 reject with tcp reset");
    }
}

#[test]
fn our_own_troubles_are_told_from_the_networks() {
    let net = net("own");
    run(&net.client, "ip", &["route", "add", "blackhole", "198.51.100.0/24"]);
    run(&net.client, "ip", &["route", "add", "blackhole", "2001:db8:2::/48"]);
    for driver in BOTH {
        for to in ["198.51.100.1", "2001:db8:2::1"] {
            let error = net.connect(driver, &Connector::new(policy()), to).unwrap_err();
            assert_eq!(error.trace().attempts[0].outcome, Outcome::Failed(Failure::NoRoute), "{error}");
        }
    }
    // Two ports for connections, both taken.
    net.client.sysctl("net/ipv4/ip_local_port_range", "40000 40001").unwrap();
    for to in [V4, V6] {
        let take = move || [0, 1].map(|_| std::net::TcpStream::connect((to, 80)).unwrap());
        let _taken = net.client.thread(take).unwrap().join().unwrap();
        for driver in BOTH {
            let error = net.connect(driver, &Connector::new(policy()), to).unwrap_err().to_string();
            assert!(error.contains("local ports") && !error.contains("no route"), "{driver:?}: {error}");
        }
    }
}

#[test]
fn a_connection_is_left_as_a_plain_one() {
    // Through the timeout and into the poll loop, and not.
    let net = net_with("plain", |link| link.delay(ms(160)));
    let connector = connector(fixed(NAME, &[V6], &["192.0.2.77"]));
    let check = move || {
        let made = connector.connect(&NAME.parse().unwrap(), 80).unwrap();
        assert_eq!(made.trace.attempts.len(), 2, "{}", made.trace);
        let direct = connector.connect(&V6.parse().unwrap(), 80).unwrap();
        for stream in [made.stream, direct.stream] {
            assert_eq!(stream.write_timeout().unwrap(), None);
            let flags = rustix::fs::fcntl_getfl(&stream).unwrap();
            assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
        }
    };
    net.client.thread(check).unwrap().join().unwrap();
}

#[test]
fn a_dropped_future_closes_all() {
    let net = net("dropped");
    net.break_with("tcp dport 80 drop");
    let connector = connector(fixed(NAME, &[V6], &[V4]));
    let check = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = NAME.parse().unwrap();
            let connecting = connector.connect_async(&host, 80);
            let both = async {
                while super::handshakes().len() < 2 {
                    tokio::time::sleep(ms(5)).await;
                }
            };
            tokio::select! {
                made = connecting => panic!("connected to a blackhole: {made:?}"),
                () = both => {}
            }
        });
        // The runtime has done nothing since.
        assert_eq!(super::handshakes(), [] as [String; 0]);
    };
    net.client.thread(check).unwrap().join().unwrap();
}

#[test]
fn curl_in_the_same_place() {
    let net = net("curl");
    net.break_with("ip6 daddr 2001:db8:1::/64 tcp dport 80 drop");
    let connector = connector(fixed(NAME, &[V6], &[V4]));
    let ours = net.connect(Driver::Blocking, &connector, NAME).unwrap();
    let resolve = format!("{NAME}:80:[{V6}],{V4}");
    let format = "%{remote_ip} %{time_connect}\\n";
    // The server closes without an answer, which curl calls an error; it connects all the same.
    let script = format!("curl -s --resolve '{resolve}' -w '{format}' http://{NAME}/ || true");
    let output = run(&net.client, "sh", &["-c", &script]);
    let mut words = output.split_ascii_whitespace();
    let (to, took) = (words.next().unwrap(), words.next().unwrap().parse::<f64>().unwrap());
    assert_eq!((to, ours.to().as_str()), (V4, V4), "{output}");
    let ratio = ours.took.as_secs_f64() / took;
    println!("broken IPv6: ours {:.3} s, curl {took:.3} s, ratio {ratio:.2}", ours.took.as_secs_f64());
    // curl waits for 200 ms, we for the 250 ms of the RFC.
    assert!(ratio < 3.0, "{output}");
}
