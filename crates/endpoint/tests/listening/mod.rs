//! What all tests of listeners need.

mod errors;
mod links;
mod policies;
mod trace;
mod udp;

use sixgate_endpoint::Endpoint;
use sixgate_endpoint::listen::{Listen, Listeners, Policy, Warning};
use sixgate_lab::{Command, Host, Lab, Link, Process, root_for_tests, wait_some};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn lab(name: &str) -> Lab {
    root_for_tests().unwrap();
    Lab::new(name).unwrap()
}

/// A server and a client on one link, both families.
pub(crate) fn two(name: &str) -> (Lab, Host, Host) {
    let lab = lab(name);
    let (server, client) = (lab.host("server").unwrap(), lab.host("client").unwrap());
    lab.link(Link::between((&server, "eth0"), (&client, "eth0"))).unwrap();
    for (host, number) in [(&server, 1), (&client, 2)] {
        sh(host, &format!("ip address add 192.0.2.{number}/24 dev eth0"));
        sh(host, &format!("ip address add 2001:db8::{number}/64 dev eth0 nodad"));
        sh(host, &format!("ip address add fe80::{number}/64 dev eth0 nodad"));
    }
    (lab, server, client)
}

pub(crate) fn sh(host: &Host, script: &str) -> String {
    let process = host.spawn(&Command::new("sh").args(["-ec", script])).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{script}: {}", process.output());
    process.output()
}

/// A peer that we did not write.
pub(crate) fn curl(host: &Host, url: &str) -> Process {
    let arguments = ["-sS", "-g", "--noproxy", "*", "--http0.9", "--max-time", "20", url];
    host.spawn(&Command::new("curl").args(arguments)).unwrap()
}

/// Local addresses of what the kernel says that listens, as `ss` shows it.
pub(crate) fn listening(host: &Host, flag: char) -> Vec<String> {
    let mut list: Vec<String> = sh(host, &format!("ss -H{flag}ln"))
        .lines()
        .map(|line| line.split_ascii_whitespace().nth(3).unwrap().to_owned())
        .collect();
    list.sort();
    list
}

/// A listener's warnings, kept.
pub(crate) fn kept() -> (Arc<Mutex<Vec<Warning>>>, impl Fn(&Warning) + Send + Sync + 'static) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    (heard, move |warning: &Warning| hear.lock().unwrap().push(warning.clone()))
}

pub(crate) fn open(host: &Host, policy: Policy, port: u16) -> Listeners {
    host.run(|| Listen::on(policy, port).tcp()).unwrap()
}

/// Accepts one peer and answers it; its address without its port.
pub(crate) fn serve_one(host: &Host, listeners: &mut Listeners) -> Endpoint {
    use std::io::{Read as _, Write as _};
    let (mut stream, peer) = host.run(|| listeners.accept_timeout(PATIENCE)).unwrap().expect("a peer comes");
    let _ = stream.read(&mut [0; 1000]).unwrap();
    stream.write_all(b"hello\n").unwrap();
    peer.without_port()
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// Something that answers within the time.
pub(crate) fn soon<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_some(what, PATIENCE, look, String::new).unwrap()
}

pub(crate) fn socket_addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
