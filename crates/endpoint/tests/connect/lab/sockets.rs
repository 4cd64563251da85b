//! Which sockets are opened, by the word of strace; and a kernel without a family.

use super::{NAME, Net, PATIENCE, V4, V6, net};
use sixgate_endpoint::connect::{Connector, FamilyChoice, Policy, policy};
use sixgate_endpoint::{Endpoint, Family, Host};
use sixgate_lab::Command;
use std::env;
use std::time::Duration;

/// Tells the process below what to do: a choice, a driver, whom to reach, and the family that is refused.
const ORDER: &str = "SIXGATE_TEST_CONNECT";

/// No test of its own: this program executed again in a host, perhaps under strace.
#[test]
fn connects_as_told() {
    let Ok(order) = env::var(ORDER) else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let [choice, driver, host, refused] = words[..] else { panic!("{order}") };
    if refused != "none" {
        sixgate_linux::sandbox::refuse_family(refused.parse().unwrap()).unwrap();
    }
    let deadline = if driver == "patient" { Duration::MAX } else { policy().deadline };
    let choice = choice.parse::<FamilyChoice>().unwrap();
    let connector = Connector::new(Policy { deadline, ..policy().with_family(choice) });
    let host: Host = host.parse().unwrap();
    let told = |result: Result<Endpoint, String>| match result {
        Ok(peer) => println!("reached {}", peer.address()),
        Err(error) => println!("failed {}", error.replace('\n', " ")),
    };
    if driver != "tokio" {
        told(connector.connect(&host, 80).map(|made| made.peer).map_err(|error| error.to_string()));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(connector.connect_async(&host, 80));
    told(made.map(|made| made.peer).map_err(|error| error.to_string()));
    runtime.shutdown_background();
}

fn ask(net: &Net, order: &str, strace: bool) -> (String, String) {
    let program = env::current_exe().unwrap();
    let test = ["--exact", "lab::sockets::connects_as_told", "--nocapture"];
    let command = if strace {
        let file = ["-f", "-e", "trace=%network,ioctl", "-o", "/run/strace"];
        Command::new("strace").args(file).arg(program).args(test)
    } else {
        Command::new(program).args(test)
    };
    let process = net.client.spawn(&command.env(ORDER, order)).unwrap();
    process.wait(PATIENCE).unwrap();
    let calls = if strace { net.client.read_file("/run/strace").unwrap() } else { String::new() };
    (process.output(), calls)
}

/// Both families in `/etc/hosts`, so that no resolver has sockets of its own.
fn named(name: &str) -> Net {
    let net = net(name);
    net.client.write_file("/etc/hosts", format!("{V6} {NAME}\n{V4} {NAME}\n")).unwrap();
    net.client.write_file("/etc/nsswitch.conf", "hosts: files\n").unwrap();
    net
}

#[test]
fn one_family_alone_opens_no_socket_of_the_other() {
    let net = named("sockets");
    let table = [("ipv4", "AF_INET6", "AF_INET,", V4), ("ipv6", "AF_INET,", "AF_INET6", V6)];
    for (choice, never, always, to) in table {
        for driver in ["blocking", "tokio"] {
            let (output, calls) = ask(&net, &format!("{choice} {driver} {NAME} none"), true);
            assert!(output.contains(&format!("reached {to}")), "{choice}, {driver}: {output}");
            let sockets: Vec<&str> = calls.lines().filter(|line| line.contains("socket(")).collect();
            assert!(sockets.iter().any(|line| line.contains(always)), "{choice}, {driver}: {sockets:?}");
            assert!(!sockets.iter().any(|line| line.contains(never)), "{choice}, {driver}: {sockets:?}");
            // Nor for an address of the other family.
            let other = if to == V4 { V6 } else { V4 };
            let (output, calls) = ask(&net, &format!("{choice} {driver} {other} none"), true);
            assert!(output.contains("failed"), "{choice}, {driver}: {output}");
            assert!(!calls.contains(never), "{choice}, {driver}: {calls}");
        }
    }
}

#[test]
fn a_kernel_without_a_family_is_survived() {
    let net = named("kernel");
    for (family, number, to, other) in [(Family::V6, 10, V4, V6), (Family::V4, 2, V6, V4)] {
        for driver in ["blocking", "tokio"] {
            let (output, _) = ask(&net, &format!("prefer-ipv6 {driver} {NAME} {number}"), false);
            assert!(output.contains(&format!("reached {to}")), "{driver} without {family}: {output}");
            let (output, _) = ask(&net, &format!("prefer-ipv6 {driver} {other} {number}"), false);
            assert!(output.contains(&format!("this kernel has no {family}")), "{driver}: {output}");
        }
    }
}

#[test]
fn an_attempt_that_is_alone_needs_two_calls_more_than_a_plain_one() {
    let net = named("calls");
    let calls = |order: &str| {
        let (output, calls) = ask(&net, &format!("{order} none"), true);
        assert!(output.contains("reached"), "{output}");
        let name = |line: &str| Some(line.split_whitespace().nth(1)?.split('(').next()?.to_owned());
        let names: Vec<String> = calls.lines().filter_map(name).collect();
        names.into_iter().filter(|name| name.starts_with(char::is_lowercase)).collect::<Vec<_>>()
    };
    assert_eq!(calls(&format!("prefer-ipv6 blocking {V6}")), ["socket", "connect", "connect", "ioctl"]);
    // No deadline, nothing to wait for but the kernel.
    assert_eq!(calls(&format!("prefer-ipv6 patient {V6}")), ["socket", "connect"]);
    // The runtime has a pair of sockets for itself.
    assert_eq!(calls(&format!("prefer-ipv6 tokio {V6}"))[..3], ["socketpair", "socket", "connect"]);
}
