//! What a connection through Happy Eyeballs costs more than a plain one, where nothing is broken: over
//! loopback, where all of it is overhead. Peers alternate, connection by connection; medians of several
//! rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark")]

use sixgate_endpoint::Host;
use sixgate_endpoint::connect::{Connector, Policy, policy};
use socket2::SockRef;
use std::hint::black_box;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const CONNECTIONS: usize = 400;

/// A listener, and where it is. It takes its connections when it is told to, outside of what is measured: a
/// thread of its own would be measured too.
fn listen(address: impl ToSocketAddrs) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).expect("loopback has the family");
    listener.set_nonblocking(true).unwrap();
    let local = listener.local_addr().unwrap();
    (listener, local)
}

/// Closes with a reset: no port stays in TIME-WAIT.
fn close(stream: impl AsFd) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The medians of ours and the peer's, and of the rounds' ratios.
fn compare<A: AsFd, B: AsFd>(
    listeners: &[&TcpListener],
    mut ours: impl FnMut() -> A,
    mut peer: impl FnMut() -> B,
) -> (f64, f64, f64) {
    let (mut all_ours, mut all_peers, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
        for turn in 0..2 * CONNECTIONS {
            let begin = Instant::now();
            // Each follows the other as often as itself.
            if (turn + turn / 2) % 2 == 0 {
                let stream = black_box(ours());
                our_times.push(begin.elapsed().as_secs_f64() * 1e6);
                close(stream);
            } else {
                let stream = black_box(peer());
                peer_times.push(begin.elapsed().as_secs_f64() * 1e6);
                close(stream);
            }
            for listener in listeners {
                while listener.accept().is_ok() {}
            }
        }
        let (our, peer) = (median(&mut our_times), median(&mut peer_times));
        all_ours.push(our);
        all_peers.push(peer);
        ratios.push(our / peer);
    }
    (median(&mut all_ours), median(&mut all_peers), median(&mut ratios))
}

fn tell(what: &str, peer: &str, (ours, peers, ratio): (f64, f64, f64), target: Option<f64>) {
    let target = match target {
        Some(target) if ratio <= target => format!("target {target:.2}: ok"),
        Some(target) => format!("target {target:.2}: MISSED"),
        None => "no target".to_owned(),
    };
    println!("connect, {what}: {ours:.1} us; {peer}: {peers:.1} us; ratio {ratio:.3}; {target}");
}

fn main() {
    let (v6_listener, v6) = listen("[::1]:0");
    // The same port, as `localhost` may be either.
    let (v4_listener, v4) = listen(("127.0.0.1", v6.port()));
    let listeners = [&v6_listener, &v4_listener];
    let connector = Connector::new(policy());

    let plain = |to: SocketAddr| move || TcpStream::connect(to).unwrap();
    // `std` has no deadline. What a plain connection does not do, a fair peer of it does not do either.
    let patient = Connector::new(Policy { deadline: Duration::MAX, ..policy() });
    for (what, to) in [("IPv6 address", v6), ("IPv4 address", v4)] {
        let host: Host = sixgate_endpoint::Endpoint::from(to).into();
        let ours = || patient.connect(&host, 0).unwrap().stream;
        tell(&format!("{what}, no deadline"), "std", compare(&listeners, ours, plain(to)), Some(1.05));
        let ours = || connector.connect(&host, 0).unwrap().stream;
        tell(&format!("{what}, 30 s"), "std without one", compare(&listeners, ours, plain(to)), Some(1.05));
        let timed = || TcpStream::connect_timeout(&to, policy().deadline).unwrap();
        tell(&format!("{what}, 30 s"), "std connect_timeout", compare(&listeners, ours, timed), Some(1.05));
    }

    let name: Host = "localhost".parse::<Host>().unwrap().with_port(v6.port());
    let ours = || connector.connect(&name, 0).unwrap().stream;
    let std = || TcpStream::connect(("localhost", v6.port())).unwrap();
    tell(
        "localhost, which asks nobody but two threads",
        "std, which asks once for both families",
        compare(&listeners, ours, std),
        None,
    );

    #[cfg(feature = "tokio")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let host: Host = sixgate_endpoint::Endpoint::from(v6).into();
        let ours = || runtime.block_on(patient.connect_async(&host, 0)).unwrap().stream;
        let peer = || runtime.block_on(tokio::net::TcpStream::connect(v6)).unwrap();
        tell("IPv6 address, tokio, no deadline", "tokio", compare(&listeners, ours, peer), Some(1.05));
        let ours = || runtime.block_on(connector.connect_async(&host, 0)).unwrap().stream;
        let timed =
            async || tokio::time::timeout(policy().deadline, tokio::net::TcpStream::connect(v6)).await;
        let peer = || runtime.block_on(timed()).unwrap().unwrap();
        tell("IPv6 address, tokio, 30 s", "tokio with timeout", compare(&listeners, ours, peer), Some(1.05));
        let ours = || runtime.block_on(connector.connect_async(&name, 0)).unwrap().stream;
        let peer = || runtime.block_on(tokio::net::TcpStream::connect(("localhost", v6.port()))).unwrap();
        tell("localhost, tokio", "tokio, which asks once", compare(&listeners, ours, peer), None);
    }
}
