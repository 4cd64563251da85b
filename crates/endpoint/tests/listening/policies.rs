//! Each policy in each world.

use super::*;
use std::env;

/// What the process below is to open: policy, refused family or 0.
const TASK: &str = "SIXGATE_TEST_LISTEN";

/// No test of its own: this program executed again in a host, which gives up a family, listens, and answers
/// every peer with its address.
#[test]
fn serves_as_told() {
    let Ok(task) = env::var(TASK) else { return };
    let (policy, refused) = task.split_once(' ').unwrap();
    if refused != "0" {
        sixgate_linux::sandbox::refuse_family(refused.parse().unwrap()).unwrap();
    }
    let policy: Policy = policy.parse().unwrap();
    let listen = Listen::on(policy, 8080).warn_with(|warning| println!("warned: {warning}"));
    let mut listeners = match listen.tcp() {
        Ok(listeners) => listeners,
        Err(error) => {
            println!("refused: {:?}: {error}", error.failure);
            return;
        }
    };
    println!("serving {listeners}");
    loop {
        use std::io::{Read as _, Write as _};
        let (mut stream, peer) = listeners.accept().unwrap();
        let _ = stream.read(&mut [0; 1000]);
        let _ = writeln!(stream, "you are {}", peer.without_port());
    }
}

fn serve(host: &Host, policy: Policy, refused: i32) -> Process {
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", "listening::policies::serves_as_told", "--nocapture"])
        .env(TASK, format!("{policy} {refused}"));
    let process = host.spawn(&again).unwrap();
    soon("it serves or says why not", || {
        let output = process.output();
        (output.contains("serving") || output.contains("refused:")).then_some(())
    });
    process
}

/// Listening addresses, then whether IPv4 and IPv6 peers are served.
type Row = (Policy, &'static [&'static str], bool, bool);

const INET: i32 = 2;
const INET6: i32 = 10;

/// Policies x net.ipv6.bindv6only x {all well, disable_ipv6, no IPv6 sockets, no IPv4 sockets}: what listens,
/// what peers are told.
#[test]
fn every_policy_in_every_world() {
    let (_lab, server, client) = two("policies");
    let worlds: [(&str, i32, [Row; 4]); 4] = [
        (
            "normal",
            0,
            [
                (Policy::V4Only, &["0.0.0.0:8080"], true, false),
                (Policy::V6Only, &["[::]:8080"], false, true),
                (Policy::Both, &["0.0.0.0:8080", "[::]:8080"], true, true),
                (Policy::BothMapped, &["*:8080"], true, true),
            ],
        ),
        // The family is there, its addresses are not: it listens, and serves as soon as they come.
        (
            "disable_ipv6",
            0,
            [
                (Policy::V4Only, &["0.0.0.0:8080"], true, false),
                (Policy::V6Only, &["[::]:8080"], false, false),
                (Policy::Both, &["0.0.0.0:8080", "[::]:8080"], true, false),
                (Policy::BothMapped, &["*:8080"], true, false),
            ],
        ),
        (
            "no IPv6 sockets",
            INET6,
            [
                (Policy::V4Only, &["0.0.0.0:8080"], true, false),
                (Policy::V6Only, &[], false, false),
                (Policy::Both, &["0.0.0.0:8080"], true, false),
                (Policy::BothMapped, &["0.0.0.0:8080"], true, false),
            ],
        ),
        (
            "no IPv4 sockets",
            INET,
            [
                (Policy::V4Only, &[], false, false),
                (Policy::V6Only, &["[::]:8080"], false, true),
                (Policy::Both, &["[::]:8080"], false, true),
                // One IPv6 socket is all it takes.
                (Policy::BothMapped, &["*:8080"], true, true),
            ],
        ),
    ];
    for (world, refused, rows) in worlds {
        let off = if world == "disable_ipv6" { "1" } else { "0" };
        server.sysctl("net/ipv6/conf/eth0/disable_ipv6", off).unwrap();
        if off == "0" {
            sh(&server, "ip address replace 2001:db8::1/64 dev eth0 nodad");
        }
        for bindv6only in ["0", "1"] {
            server.sysctl("net/ipv6/bindv6only", bindv6only).unwrap();
            for (policy, listens, v4, v6) in rows {
                let case = format!("{world}, bindv6only {bindv6only}, {policy}");
                let process = serve(&server, policy, refused);
                let said = process.output();
                assert_eq!(listening(&server, 't'), listens, "{case}: {said}");
                for (served, url, told) in [
                    (v4, "http://192.0.2.1:8080/", "you are 192.0.2.2\n"),
                    (v6, "http://[2001:db8::1]:8080/", "you are 2001:db8::2\n"),
                ] {
                    // What is not served is refused at once, except where the address itself is away.
                    if !served && (off == "1" && url.contains('[')) {
                        continue;
                    }
                    let peer = curl(&client, url);
                    let well = peer.wait(PATIENCE).unwrap().success();
                    assert_eq!(well, served, "{case}, {url}: {}", peer.output());
                    assert!(!served || peer.output() == told, "{case}, {url}: {}", peer.output());
                }
                // Never silent.
                let all = matches!(policy, Policy::Both | Policy::BothMapped);
                let missing = refused == INET6 && all || refused == INET && policy == Policy::Both;
                let family = if refused == INET6 { "IPv6" } else { "IPv4" };
                let warned = format!("warned: {family} is not served: this system has no {family}");
                assert_eq!(said.contains(&warned), missing, "{case}: {said}");
                let failed = listens.is_empty();
                assert_eq!(
                    said.contains("refused: NoFamily: cannot listen on TCP "),
                    failed,
                    "{case}: {said}"
                );
                assert_eq!(
                    said.contains("its kernel lacks it, or a sandbox refuses"),
                    failed || missing,
                    "{case}"
                );
                let _ = process.kill();
                let _ = process.wait(PATIENCE);
            }
        }
    }
}

#[test]
fn two_sockets_on_one_port_and_a_free_port_for_both() {
    let (_lab, server, client) = two("ports");
    for bindv6only in ["0", "1"] {
        server.sysctl("net/ipv6/bindv6only", bindv6only).unwrap();
        let mut listeners = open(&server, Policy::Both, 0);
        let port = listeners.port().expect("both have the same");
        assert_eq!(listening(&server, 't'), [format!("0.0.0.0:{port}"), format!("[::]:{port}")]);
        assert_eq!(listeners.missing(), []);
        assert_eq!(listeners.warnings(), []);
        for (host, peer) in [("192.0.2.1", "192.0.2.2"), ("[2001:db8::1]", "2001:db8::2")] {
            let process = curl(&client, &format!("http://{host}:{port}/"));
            assert_eq!(serve_one(&server, &mut listeners), endpoint(peer));
            assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
        }
        assert_eq!(
            listeners.to_string(),
            format!("TCP [::]:{port} (IPv6 alone), TCP 0.0.0.0:{port} (IPv4 alone)")
        );
        // The policies exclude each other where they would share a socket, and only there.
        let at = |text: &str| server.run(|| Listen::at([endpoint(text)]).tcp()).map(|_| ());
        assert!(at(&format!("[::]:{port}")).is_err());
        drop(listeners);
        let v6 = open(&server, Policy::V6Only, port);
        let v4 = open(&server, Policy::V4Only, port);
        drop((v6, v4));
    }
    // Where the free port of one family is taken in the other, another one is found.
    let wide = "net/ipv4/ip_local_port_range";
    server.sysctl(wide, "40000 40003").unwrap();
    let taken: Vec<_> = [40000, 40001, 40002]
        .map(|port| server.run(|| Listen::on(Policy::V4Only, port).tcp()).unwrap())
        .into();
    let listeners = open(&server, Policy::Both, 0);
    assert_eq!(listeners.port(), Some(40003));
    let error = server.run(|| Listen::on(Policy::Both, 0).tcp()).unwrap_err();
    assert_eq!(error.failure, sixgate_endpoint::listen::ListenFailure::InUse);
    drop(taken);
    // Several addresses, one free port.
    let ends = [endpoint("127.0.0.1:0"), endpoint("[::1]:0"), endpoint("[2001:db8::1]:0")];
    let listeners = server.run(|| Listen::at(ends).tcp()).unwrap();
    let port = listeners.port().unwrap();
    assert_eq!(listeners.endpoints(), ends.map(|end| end.with_port(port)));
}

/// A peer that keeps one socket busy does not starve the other.
#[test]
fn sockets_take_turns() {
    let lab = lab("turns");
    let host = lab.host("server").unwrap();
    let mut listeners = open(&host, Policy::Both, 0);
    let port = listeners.port().unwrap();
    let connect = |address: &str| {
        host.run(|| std::net::TcpStream::connect(socket_addr(&format!("{address}:{port}"))).unwrap())
    };
    let many: Vec<_> = (0..20).map(|_| connect("[::1]")).collect();
    let few: Vec<_> = (0..3).map(|_| connect("127.0.0.1")).collect();
    let order: Vec<_> = (0..23).map(|_| listeners.try_accept().unwrap().unwrap().1.family()).collect();
    let last = order.iter().rposition(|&family| family == sixgate_endpoint::Family::V4).unwrap();
    assert!(last <= 6, "{order:?}");
    assert_eq!(listeners.counters().accepted, (many.len() + few.len()) as u64);
    assert!(listeners.try_accept().unwrap().is_none());
    assert!(listeners.accept_timeout(Duration::from_millis(1)).unwrap().is_none());
}

#[cfg(feature = "tokio")]
#[test]
fn tokio_accepts_by_both_families() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_lab, server, client) = two("tokio");
    let thread = server
        .thread(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut listeners = Listen::on(Policy::Both, 8080).tcp().unwrap().into_tokio().unwrap();
                let mut udp = Listen::on(Policy::Both, 8080).udp().unwrap().into_tokio().unwrap();
                let mut peers = Vec::new();
                let mut buffer = [0; 100];
                while peers.len() < 8 {
                    tokio::select! {
                        accepted = listeners.accept() => {
                            let (mut stream, peer) = accepted.unwrap();
                            let _ = stream.read(&mut [0; 1000]).await.unwrap();
                            stream.write_all(b"hello\n").await.unwrap();
                            peers.push(peer.without_port().to_string());
                        }
                        received = udp.recv_from(&mut buffer) => {
                            let received = received.unwrap();
                            udp.reply(b"udp", &received).await.unwrap();
                            peers.push(format!("udp {}", received.from.without_port()));
                        }
                    }
                }
                peers
            })
        })
        .unwrap();
    soon("it listens", || (listening(&server, 'u').len() == 2).then_some(()));
    let mut expected = Vec::new();
    for _ in 0..2 {
        for (host, peer) in [("192.0.2.1", "192.0.2.2"), ("[2001:db8::1]", "2001:db8::2")] {
            let process = curl(&client, &format!("http://{host}:8080/"));
            assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
            let answer = super::udp::ask(&client, &format!("{host}:8080"));
            assert_eq!(answer, format!("udp from {host}:8080"));
            expected.extend([peer.to_owned(), format!("udp {peer}")]);
        }
    }
    assert_eq!(thread.join().unwrap(), expected);
}

/// A program that is executed by a server inherits nothing of its listeners.
#[test]
fn every_descriptor_is_closed_on_exec() {
    let inherited = || {
        let kept = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{name}")).ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            // O_CLOEXEC of fcntl.h.
            let closed = u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 != 0;
            let what = std::fs::read_link(entry.path()).ok()?;
            (!closed && what.to_string_lossy().starts_with("socket:")).then_some(name)
        };
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(kept).count()
    };
    let before = inherited();
    let listeners = Listen::at([endpoint("127.0.0.1:0"), endpoint("127.0.0.2:0")]).tcp().unwrap();
    let datagrams = Listen::at([endpoint("127.0.0.1:0")]).udp().unwrap();
    assert_eq!(inherited(), before, "{listeners} {datagrams}");
}
