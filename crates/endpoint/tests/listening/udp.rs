//! UDP.

use super::*;
use std::net::UdpSocket;

/// Sends a datagram from `host` and tells what came back, and from where.
pub(crate) fn ask(host: &Host, to: &str) -> String {
    let to = socket_addr(to);
    host.run(|| {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"question", to).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        format!("{} from {from}", String::from_utf8_lossy(&buffer[..length]))
    })
}

#[test]
fn datagrams_of_both_families_are_answered() {
    let (_lab, server, client) = two("udp");
    for (policy, expected) in
        [(Policy::Both, vec!["0.0.0.0:5353", "[::]:5353"]), (Policy::BothMapped, vec!["*:5353"])]
    {
        for bindv6only in ["0", "1"] {
            server.sysctl("net/ipv6/bindv6only", bindv6only).unwrap();
            let mut listeners = server.run(|| Listen::on(policy, 5353).udp()).unwrap();
            assert_eq!(listening(&server, 'u'), expected);
            let thread = std::thread::spawn(move || {
                let mut peers = Vec::new();
                for _ in 0..3 {
                    let mut buffer = [0; 4];
                    let received = listeners.recv_timeout(&mut buffer, PATIENCE).unwrap().unwrap();
                    assert!(received.truncated);
                    assert_eq!(&buffer[..received.length], b"ques");
                    assert_eq!(listeners.reply(b"answer", &received).unwrap(), 6);
                    peers.push(received.from.without_port().to_string());
                }
                (listeners, peers)
            });
            for (to, from) in [
                ("192.0.2.1:5353", "192.0.2.1:5353"),
                ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
                // The zone of the client's side.
                ("[fe80::1%2]:5353", "[fe80::1%2]:5353"),
            ] {
                let index = sh(&client, "cat /sys/class/net/eth0/ifindex").trim().to_owned();
                let (to, from) =
                    (to.replace("%2", &format!("%{index}")), from.replace("%2", &format!("%{index}")));
                assert_eq!(ask(&client, &to), format!("answer from {from}"));
            }
            let (listeners, peers) = thread.join().unwrap();
            let index = sh(&server, "cat /sys/class/net/eth0/ifindex").trim().to_owned();
            let link_local = peers[2].clone();
            assert_eq!(peers[..2], ["192.0.2.2", "2001:db8::2"]);
            assert!(
                link_local.starts_with("fe80::") && link_local.ends_with(&format!("%{index}")),
                "{link_local}"
            );
            // Unasked, to both families, and by the name of the zone.
            let mut back = client.run(|| Listen::on(Policy::Both, 9).udp()).unwrap();
            for (to, from) in [
                ("[2001:db8::2]:9", "2001:db8::"),
                ("[fe80::2%eth0]:9", "fe80::"),
                ("192.0.2.2:9", "192.0.2.1"),
            ] {
                assert_eq!(server.run(|| listeners.send_to(b"news", endpoint(to))).unwrap(), 4);
                let received = back.recv_timeout(&mut [0; 10], PATIENCE).unwrap().expect(to);
                assert!(received.from.address().to_string().starts_with(from), "{to}: {}", received.from);
            }
        }
    }
}

/// A listener on one address answers from it, where the kernel would choose another for a wildcard's answer.
#[test]
fn answers_leave_from_the_address_that_was_asked() {
    let (_lab, server, client) = two("source");
    sh(&server, "ip address add 2001:db8::53/64 dev eth0 nodad; ip address add 192.0.2.53/24 dev eth0");
    let ends = ["[2001:db8::1]:53", "[2001:db8::53]:53", "192.0.2.1:53", "192.0.2.53:53"].map(endpoint);
    let mut listeners = server.run(|| Listen::at(ends).udp()).unwrap();
    let thread = std::thread::spawn(move || {
        for _ in 0..ends.len() {
            let received = listeners.recv_timeout(&mut [0; 100], PATIENCE).unwrap().unwrap();
            listeners.reply(b"answer", &received).unwrap();
        }
    });
    for end in ends {
        assert_eq!(ask(&client, &end.to_string()), format!("answer from {end}"));
    }
    thread.join().unwrap();
}

#[test]
fn what_cannot_be_sent_is_said() {
    let lab = lab("unsent");
    let host = lab.host("a").unwrap();
    let listeners = host.run(|| Listen::on(Policy::V6Only, 0).udp()).unwrap();
    let error = listeners.send_to(b"", endpoint("192.0.2.1:9")).unwrap_err();
    assert!(error.to_string().contains("cannot send to 192.0.2.1:9: no socket here reaches it"), "{error}");
    let error = listeners.send_to(b"", endpoint("2001:db8::1")).unwrap_err();
    assert!(error.to_string().contains("it has no port"), "{error}");
    let error = host.run(|| listeners.send_to(b"", endpoint("[fe80::1%eth9]:9"))).unwrap_err();
    assert!(error.to_string().contains("no such interface"), "{error}");
}

/// The kernel gives its table of sockets out in pieces, and leaves some out where others are closed meanwhile:
/// that is no reason to say that nothing listens.
#[test]
fn a_listener_is_found_in_a_table_that_changes() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let lab = lab("crowd");
    let server = lab.host("server").unwrap();
    let bind = || UdpSocket::bind("127.0.0.1:0").ok();
    let _still: Vec<_> = server.run(|| (0..400).filter_map(|_| bind()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let churn = server
        .thread(move || {
            let mut sockets = std::collections::VecDeque::new();
            while !stopped.load(Ordering::Relaxed) {
                sockets.push_back(bind());
                if sockets.len() > 400 {
                    sockets.pop_front();
                }
            }
        })
        .unwrap();
    let opened: Vec<_> = (0..500)
        .map(|_| server.run(|| Listen::at([endpoint("127.0.0.1:0")]).udp().map(|listeners| listeners.port())))
        .collect();
    stop.store(true, Ordering::Relaxed);
    churn.join().unwrap();
    for opened in opened {
        assert!(opened.is_ok(), "{opened:?}");
    }
}

/// What goes to others does not leave by the socket of loopback, though it was named first.
#[test]
fn loopback_sends_to_loopback_alone() {
    let (_lab, server, client) = two("udploop");
    let socket = client.run(|| UdpSocket::bind("192.0.2.2:0")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = Endpoint::from(socket.local_addr().unwrap());
    let both = ["127.0.0.1:5353", "192.0.2.1:5353"].map(endpoint);
    let listeners = server.run(|| Listen::at(both).udp()).unwrap();
    assert_eq!(listeners.send_to(b"hello", to).unwrap(), 5);
    assert_eq!(Endpoint::from(socket.recv_from(&mut [0; 9]).unwrap().1), both[1]);
    let alone = server.run(|| Listen::at([endpoint("127.0.0.1:5354")]).udp()).unwrap();
    assert_eq!(alone.send_to(b"hello", to).unwrap_err().kind(), std::io::ErrorKind::NotConnected);
}
