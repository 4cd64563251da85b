//! Link-local listeners and their interfaces (R28).

use super::*;
use sixgate_endpoint::listen::Refreshed;

const HERE: &str = "[fe80::53%eth0]:8080";
const URL: &str = "http://[fe80::53%25eth0]:8080/";

/// What it warns of, what ends it, and its thread.
type Service = (Arc<Mutex<Vec<Warning>>>, std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>);

/// A service that answers on its link until it is told to stop.
fn serve(host: &Host, ends: &[&str]) -> Service {
    let (heard, hear) = kept();
    let ends: Vec<Endpoint> = ends.iter().map(|text| endpoint(text)).collect();
    let (stop, stopped) = std::sync::mpsc::channel();
    let mut listeners = host.run(|| Listen::at(ends).warn_with(hear).tcp()).unwrap();
    let thread = host
        .thread(move || {
            use std::io::{Read as _, Write as _};
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                if let Some((mut stream, peer)) =
                    listeners.accept_timeout(Duration::from_millis(100)).unwrap()
                {
                    assert!(peer.zone().is_some(), "{peer}");
                    let _ = stream.read(&mut [0; 1000]);
                    let _ = stream.write_all(b"hello\n");
                }
            }
        })
        .unwrap();
    (heard, stop, thread)
}

/// The same on tokio.
#[cfg(feature = "tokio")]
fn serve_by_tokio(host: &Host, ends: &[&str]) -> Service {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (heard, hear) = kept();
    let ends: Vec<Endpoint> = ends.iter().map(|text| endpoint(text)).collect();
    let (stop, stopped) = std::sync::mpsc::channel();
    let listeners = host.run(|| Listen::at(ends).warn_with(hear).tcp()).unwrap();
    let thread = host
        .thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut listeners = listeners.into_tokio().unwrap();
                while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                    let accepted = tokio::time::timeout(Duration::from_millis(100), listeners.accept()).await;
                    if let Ok(accepted) = accepted {
                        let (mut stream, peer) = accepted.unwrap();
                        assert!(peer.zone().is_some(), "{peer}");
                        let _ = stream.read(&mut [0; 1000]).await;
                        let _ = stream.write_all(b"hello\n").await;
                    }
                }
            });
        })
        .unwrap();
    (heard, stop, thread)
}

/// A client reconnects over the link until it is served.
fn served(client: &Host) {
    soon("the client is served", || {
        let quick =
            ["-sS", "-g", "--noproxy", "*", "--http0.9", "--connect-timeout", "1", "--max-time", "3", URL];
        let peer = client.spawn(&Command::new("curl").args(quick)).unwrap();
        (peer.wait(PATIENCE).unwrap().success() && peer.output() == "hello\n").then_some(())
    });
}

#[test]
fn a_link_local_listener_survives_its_interface() {
    survives("links", serve);
}

#[cfg(feature = "tokio")]
#[test]
fn a_link_local_listener_on_tokio_survives_its_interface() {
    survives("tokiolinks", serve_by_tokio);
}

fn survives(name: &str, serve: fn(&Host, &[&str]) -> Service) {
    let (_lab, server, client) = two(name);
    // Bound while duplicate address detection runs (RFC 4862 section 5.4): tentative.
    sh(&server, "ip address add fe80::53/64 dev eth0");
    let (heard, stop, thread) = serve(&server, &[HERE, "[::1]:8080"]);
    let warned = |what: &Warning| heard.lock().unwrap().contains(what);
    assert!(warned(&Warning::LinkLocal(endpoint(HERE))));
    served(&client);

    // Down and up: the address goes and comes.
    for _ in 0..2 {
        sh(&server, "ip link set eth0 down");
        assert_eq!(sh(&server, "ip -6 address show dev eth0 scope link"), "");
        sh(&server, "ip link set eth0 up; ip address replace fe80::53/64 dev eth0");
        served(&client);
    }

    // Removed and made again: another index. Twice, with something in between.
    for round in 0..2 {
        let index = || sh(&server, "cat /sys/class/net/eth0/ifindex");
        let before = index();
        sh(&server, "ip link del eth0");
        soon("it is told that the interface has gone", || {
            let heard = heard.lock().unwrap();
            let lost = heard.iter().filter(|warning| match warning {
                Warning::Refreshed(Refreshed::Lost { endpoint, .. }) => endpoint.to_string() == HERE,
                _ => false,
            });
            (lost.count() == round + 1).then_some(())
        });
        assert!(listening(&server, 't').iter().all(|local| !local.contains("fe80")));
        sh(&server, &format!("ip link add filler{round} type veth peer name relling{round}"));
        let peer = client.namespace().init_pid();
        // The other end goes to the client's machine.
        sh(&server, "ip link add eth0 type veth peer name far0");
        move_to(&server, "far0", peer);
        sh(
            &client,
            "ip link set far0 name eth0; ip link set eth0 up; ip address add fe80::2/64 dev eth0 nodad",
        );
        sh(&server, "ip link set eth0 up; ip address add fe80::53/64 dev eth0");
        assert_ne!(index(), before);
        served(&client);
        let heard = heard.lock().unwrap();
        let opened = heard.iter().filter(|warning| {
            matches!(warning, Warning::Refreshed(Refreshed::Opened(endpoint)) if endpoint.to_string() == HERE)
        });
        assert_eq!(opened.count(), round + 1, "{heard:?}");
    }
    drop(stop);
    thread.join().unwrap();
}

/// Moves an interface of `host` into the network namespace of a process outside, which a program inside
/// cannot name.
fn move_to(host: &Host, interface: &str, pid: i32) {
    let status = std::process::Command::new("nsenter")
        .args([
            "-n",
            "-t",
            &host.init_pid().to_string(),
            "ip",
            "link",
            "set",
            interface,
            "netns",
            &pid.to_string(),
        ])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Somebody else has the port when the interface comes back: said, and tried again until it is free.
#[test]
fn what_cannot_be_opened_again_is_tried_again() {
    let (_lab, server, _client) = two("again");
    let (heard, hear) = kept();
    let here = endpoint("[fe80::1%eth0]:8080");
    let mut listeners = server.run(|| Listen::at([here]).warn_with(hear).tcp()).unwrap();
    sh(&server, "ip link set eth0 name eth1");
    let mut turn = || server.run(|| listeners.accept_timeout(Duration::from_millis(20))).unwrap();
    let refreshed = |count: usize| {
        let heard = heard.lock().unwrap();
        let list: Vec<_> = heard.iter().filter(|warning| matches!(warning, Warning::Refreshed(_))).collect();
        (list.len() == count).then(|| list[count - 1].to_string())
    };
    let said = soon("it is lost", || {
        assert!(turn().is_none());
        refreshed(1)
    });
    assert_eq!(said, "[fe80::1%eth0]:8080 is not served any more: the interface `eth0` has gone");
    let other = server.run(|| Listen::on(Policy::V6Only, 8080).tcp()).unwrap();
    sh(&server, "ip link set eth1 name eth0");
    for _ in 0..10 {
        assert!(turn().is_none());
    }
    assert_eq!(refreshed(2), None);
    drop(other);
    let said = soon("it is open again", || {
        assert!(turn().is_none());
        refreshed(2)
    });
    assert_eq!(said, "[fe80::1%eth0]:8080 is served now");
    assert_eq!(listening(&server, 't'), ["[fe80::1]%eth0:8080"]);
}

#[test]
fn refresh_says_what_it_did() {
    let (_lab, server, _client) = two("refresh");
    let index: u32 = sh(&server, "cat /sys/class/net/eth0/ifindex").trim().parse().unwrap();
    let by_index = endpoint(&format!("[fe80::1%{index}]:8081"));
    let ends = [endpoint("[fe80::1%eth0]:8080"), by_index, endpoint("[::]:8082")];
    let mut listeners = server.run(|| Listen::at(ends).warn_with(|_| ()).tcp()).unwrap();
    assert_eq!(listeners.endpoints(), ends);
    assert_eq!(server.run(|| listeners.refresh()), []);
    sh(&server, "ip link del eth0");
    let done = server.run(|| listeners.refresh());
    let lost: Vec<String> = done.iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        [
            "[fe80::1%eth0]:8080 is not served any more: the interface `eth0` has gone".to_owned(),
            format!("{by_index} is not served any more: the interface `{index}` has gone"),
        ]
    );
    assert_eq!(server.run(|| listeners.refresh()), []);
    assert_eq!(listeners.sockets().count(), 1);
    sh(
        &server,
        "ip link add filler0 type veth peer name filler1; ip link add eth0 type veth peer name peer0",
    );
    // By name it is back; the index is another interface's, or nobody's.
    let done = server.run(|| listeners.refresh());
    assert_eq!(done, [Refreshed::Opened(endpoint("[fe80::1%eth0]:8080"))]);
    assert_eq!(listening(&server, 't'), ["*:8082".replace('*', "[::]"), "[fe80::1]%eth0:8080".to_owned()]);
    assert_eq!(server.run(|| listeners.refresh()), []);
}

/// An interface has other names, too; the kernel tells its first one of a socket.
#[test]
fn a_zone_may_be_another_name_of_its_interface() {
    let (_lab, server, client) = two("altname");
    sh(&server, "ip link property add dev eth0 altname lan0");
    let here = endpoint("[fe80::1%lan0]:8080");
    let mut listeners = server.run(|| Listen::at([here]).warn_with(|_| ()).tcp()).unwrap();
    assert_eq!(listeners.endpoints(), [here]);
    let peer = curl(&client, "http://[fe80::1%25eth0]:8080/");
    serve_one(&server, &mut listeners);
    assert_eq!((peer.wait(PATIENCE).unwrap().success(), peer.output()), (true, "hello\n".to_owned()));
    // Another interface of that name is another zone.
    sh(&server, "ip link property del dev eth0 altname lan0; ip link add lan0 type veth peer name far0");
    assert_eq!(server.run(|| listeners.refresh()), [Refreshed::Opened(here)]);
    assert_eq!(listening(&server, 't'), ["[fe80::1]%lan0:8080"]);
}

/// A service that always has a peer to accept never waits, and hears the news of its interfaces all the same.
#[test]
fn a_busy_service_follows_its_interfaces() {
    let (_lab, server, _client) = two("busylinks");
    let ends = ["[fe80::1%eth0]:8080", "[::1]:8080"].map(endpoint);
    let mut listeners = server.run(|| Listen::at(ends).warn_with(|_| ()).tcp()).unwrap();
    let _peers: Vec<_> = (0..300)
        .map(|_| server.run(|| std::net::TcpStream::connect(socket_addr("[::1]:8080"))).unwrap())
        .collect();
    sh(&server, "ip link set eth0 name eth1");
    for _ in 0..290 {
        assert!(server.run(|| listeners.accept_timeout(PATIENCE)).unwrap().is_some());
    }
    assert_eq!(listeners.sockets().count(), 1);
}
