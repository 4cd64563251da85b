//! What the system calls say (R20, R23, R24): strace, a witness that we did not write.

use super::*;
use std::env;

/// No test of its own: this program executed again under strace.
#[test]
fn opens_all() {
    if env::var_os("SIXGATE_TEST_TRACED").is_none() {
        return;
    }
    for policy in Policy::ALL {
        drop(Listen::on(policy, 8080).tcp().unwrap());
        let udp = Listen::on(policy, 8080).udp().unwrap();
        for to in ["192.0.2.1:9", "[2001:db8::1]:9", "[fe80::1%lo]:9"] {
            let _ = udp.send_to(b"", endpoint(to));
        }
    }
    drop(
        Listen::at(["[::1]:8080", "127.0.0.1:8080", "[::]:8081", "[fe80::9%lo]:8080"].map(endpoint))
            .tcp()
            .unwrap(),
    );
}

#[test]
fn v6only_is_set_before_every_bind_and_addresses_have_their_length() {
    let lab = lab("trace");
    let host = lab.host("a").unwrap();
    for bindv6only in ["0", "1"] {
        host.sysctl("net/ipv6/bindv6only", bindv6only).unwrap();
        let exe = env::current_exe().unwrap().display().to_string();
        let arguments = ["-f", "-e", "trace=socket,setsockopt,bind,connect,sendto", &exe];
        let strace = Command::new("strace")
            .args(arguments)
            .args(["--exact", "listening::trace::opens_all", "--nocapture"])
            .env("SIXGATE_TEST_TRACED", "1");
        let process = host.spawn(&strace).unwrap();
        assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
        let trace = process.output();

        let mut decided = std::collections::HashSet::new();
        let (mut binds, mut sends) = ([0, 0], [0, 0]);
        for line in trace.lines().map(|line| line.split_once("] ").map_or(line, |(_, call)| call)) {
            let fd = || line.split_once('(').unwrap().1.split([',', ')']).next().unwrap().to_owned();
            let made = || line.rsplit_once("= ").unwrap().1.to_owned();
            if line.starts_with("socket(AF_INET") {
                decided.remove(&made());
            } else if line.contains("IPV6_V6ONLY") {
                decided.insert(fd());
            } else if line.starts_with("bind(") && line.contains("AF_INET6") {
                assert!(decided.contains(&fd()), "IPV6_V6ONLY is not set: {line}\n{trace}");
                assert!(line.contains("sin6_flowinfo=htonl(0)") && line.contains("}, 28)"), "{line}");
                binds[1] += 1;
            } else if line.starts_with("bind(") && line.contains("AF_INET") {
                assert!(line.contains("}, 16)"), "{line}");
                binds[0] += 1;
            } else if line.starts_with("sendto(") && line.contains("AF_INET6") {
                assert!(line.contains("sin6_flowinfo=htonl(0)") && line.contains("}, 28)"), "{line}");
                sends[1] += 1;
            } else if line.starts_with("sendto(") && line.contains("AF_INET") {
                assert!(line.contains("}, 16)"), "{line}");
                sends[0] += 1;
            }
        }
        // Three policies with an IPv6 socket and two with an IPv4 one, twice; and the addresses, one of them
        // tried twice.
        assert_eq!(binds, [5, 10], "{trace}");
        assert_eq!(sends, [2, 7], "{trace}");
    }
}
