//! One address family at a time: without IPv4 sixgate serves, without IPv6 it says so; and what it gives up while it serves.

use crate::network::*;
use sixgate_lab::{Command, Host, Process, Stream};
use std::os::unix::process::CommandExt as _;
use std::{env, fs};

/// Tells the process below which family to refuse.
const REFUSED: &str = "SIXGATE_TEST_REFUSED_FAMILY";

/// No test of its own: this program executed again in a host, which gives up a family and becomes sixgate.
#[test]
fn becomes_sixgate_without_a_family() {
    let Ok(family) = env::var(REFUSED) else { return };
    sixgate_linux::sandbox::refuse_family(family.parse().unwrap()).unwrap();
    panic!("{}", std::process::Command::new(SIXGATE).arg("up").env_remove(REFUSED).exec());
}

/// Starts `sixgate up` where no socket of `family` can be opened.
fn without(family: i32, host: &Host, config: &str) -> Sixgate {
    write_config(host, config);
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", "family::becomes_sixgate_without_a_family", "--nocapture"])
        .env(REFUSED, family.to_string());
    Sixgate { host: host.clone(), process: host.spawn(&again).unwrap() }
}

fn field(process: &Process, thread: &str, name: &str) -> String {
    let path = format!("/proc/{}/task/{thread}/status", process.pid());
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn sixgate_serves_without_ipv4_and_confined() {
    let home = home("family");
    let isp = without(libc::AF_INET, &home.isp, &isp_config());
    // Not even DHCPv4 takes a socket of IPv4's family.
    let gateway = without(libc::AF_INET, &home.gw, &format!("{GATEWAY}ipv4 = \"192.168.7.1/24\"\n"));
    for sixgate in [&isp, &gateway] {
        sixgate
            .process
            .wait_line(" serving ", PATIENCE)
            .unwrap_or_else(|error| panic!("{error}\n{}", sixgate.log()));
    }
    let kitchen = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", kitchen);
    let resolver = format!("@{}1", kitchen.network());
    let answer = output(&home.alice, "dig", &["-6", "+short", &resolver, "far.example", "AAAA"]);
    assert_eq!(answer.trim(), FAR);

    let mut threads = 0;
    for entry in fs::read_dir(format!("/proc/{}/task", gateway.process.pid())).unwrap() {
        let thread = entry.unwrap().file_name().into_string().unwrap();
        let field = |name| field(&gateway.process, &thread, name);
        assert_eq!(field("Seccomp"), "2");
        assert_eq!(field("NoNewPrivs"), "1");
        for none in ["CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(field(none), "0000000000000000", "{none}");
        }
        // CAP_NET_ADMIN, number 12, is all that is left, and the store's thread has not even that. In an ordinary user's
        // namespace files may belong to users that do not exist there; then CAP_DAC_OVERRIDE, number 1, stays too.
        let left = u64::from_str_radix(&field("CapPrm"), 16).unwrap();
        let main = thread == gateway.process.pid().to_string();
        assert_eq!(left & !2, u64::from(main) << 12, "thread {thread} has {left:#x}");
        threads += 1;
    }
    assert!(threads >= 2, "the store has a thread of its own");
    // Stopping puts everything back with what is left.
    gateway.stop();
    isp.stop();
    assert_eq!(output(&home.gw, "nft", &["list", "ruleset"]), "");
    assert_eq!(output(&home.gw, "sysctl", &["-n", "net.ipv6.conf.all.forwarding"]), "0\n");
}

#[test]
fn sixgate_says_that_it_cannot_do_without_ipv6() {
    let home = home("family6");
    let gateway = without(libc::AF_INET6, &home.gw, GATEWAY);
    let status = gateway.process.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(3), "{}", gateway.log());
    let said = gateway.process.log().text(Some(Stream::Error));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("refuses IPv6 sockets; sixgate serves IPv6 and cannot start without it"), "{said}");
}
