//! The smallest owner of a forwarder: blocking sockets and a thread for each, in one network namespace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::time::Duration;
use sixgate_endpoint::Endpoint;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use sixgate_dns::{Action, Client, Config, Counters, Forwarder, Names, Token, Transport};

const INSIDE: &str = "SIXGATE_DNS_TEST_INSIDE";

/// Runs the named test of this file in a namespace of its own; whether this already is that run.
pub(crate) fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        return true;
    }
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    let status = command
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed inside its namespace");
    false
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Peer {
    Datagram(SocketAddr),
    Connection(u64),
}

enum Event {
    Datagram(SocketAddr, Vec<u8>),
    Message(u64, Vec<u8>),
    Connected(u64, TcpStream),
    Answer(Endpoint, Token, Vec<u8>),
    Failure(Token),
    Skip(Duration),
    Time(Duration),
    Counters(Sender<Counters>),
}

/// A forwarder that serves on `[::1]:port`, UDP and TCP, until the test ends.
pub(crate) struct Edge {
    events: Sender<Event>,
}

impl Edge {
    pub(crate) fn start(port: u16, config: Config, upstreams: &[Endpoint], names: Names) -> Self {
        let address: SocketAddr = format!("[::1]:{port}").parse().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let tcp = TcpListener::bind(address).unwrap();
        let (events, inbox) = channel();
        let mut forwarder = Forwarder::new(config, fastrand::Rng::new());
        forwarder.set_upstreams(upstreams);
        let (receive, sender) = (udp.try_clone().unwrap(), events.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while let Ok((length, from)) = receive.recv_from(&mut buffer) {
                let _ = sender.send(Event::Datagram(from, buffer[..length].to_vec()));
            }
        });
        let sender = events.clone();
        thread::spawn(move || {
            for (connection, stream) in (0..).zip(tcp.incoming().flatten()) {
                let _ = sender.send(Event::Connected(connection, stream.try_clone().unwrap()));
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut stream = stream;
                    while let Ok(bytes) = read_message(&mut stream) {
                        let _ = sender.send(Event::Message(connection, bytes));
                    }
                });
            }
        });
        let sender = events.clone();
        thread::spawn(move || run(forwarder, &names, &udp, &inbox, &sender));
        Self { events }
    }

    /// Moves the forwarder's clock ahead.
    #[allow(dead_code, reason = "each test file uses its own part")]
    pub(crate) fn skip(&self, time: Duration) {
        self.events.send(Event::Skip(time)).unwrap();
    }

    /// Sets the forwarder's clock.
    #[allow(dead_code, reason = "each test file uses its own part")]
    pub(crate) fn set_time(&self, time: Duration) {
        self.events.send(Event::Time(time)).unwrap();
    }

    #[allow(dead_code, reason = "each test file uses its own part")]
    pub(crate) fn counters(&self) -> Counters {
        let (sender, receiver) = channel();
        self.events.send(Event::Counters(sender)).unwrap();
        receiver.recv().unwrap()
    }
}

fn run(
    mut forwarder: Forwarder<Peer>,
    names: &Names,
    udp: &UdpSocket,
    inbox: &Receiver<Event>,
    events: &Sender<Event>,
) {
    let start = Instant::now();
    let mut skipped = Duration::from_secs(1_800_000_003);
    let mut connections = HashMap::new();
    loop {
        let now = skipped + start.elapsed();
        let wait = forwarder.poll_timeout().map_or(Duration::from_mins(1), |due| due.saturating_sub(now));
        let event = inbox.recv_timeout(wait);
        let now = skipped + start.elapsed();
        let mut actions = Vec::new();
        match event {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Datagram(from, bytes)) => {
                let client = Client {
                    peer: Peer::Datagram(from),
                    transport: Transport::Udp,
                    udp_limit: 1_232,
                    share: 0,
                };
                forwarder.handle_query(now, client, &bytes, names, &mut actions);
            }
            Ok(Event::Message(connection, bytes)) => {
                let peer = Peer::Connection(connection);
                let client = Client { peer, transport: Transport::Tcp, udp_limit: 1_232, share: 0 };
                forwarder.handle_query(now, client, &bytes, names, &mut actions);
            }
            Ok(Event::Connected(connection, stream)) => {
                connections.insert(connection, stream);
            }
            Ok(Event::Answer(from, token, bytes)) => {
                forwarder.handle_answer(now, from, token, &bytes, &mut actions);
            }
            Ok(Event::Failure(token)) => forwarder.handle_failure(now, token, &mut actions),
            Ok(Event::Skip(time)) => skipped += time,
            Ok(Event::Time(time)) => skipped = time.saturating_sub(start.elapsed()),
            Ok(Event::Counters(sender)) => sender.send(forwarder.counters()).unwrap(),
        }
        forwarder.handle_timeout(now, &mut actions);
        for action in actions {
            match action {
                Action::Reply { client: Client { peer: Peer::Datagram(to), .. }, bytes } => {
                    udp.send_to(&bytes, to).unwrap();
                }
                Action::Reply { client: Client { peer: Peer::Connection(connection), .. }, bytes } => {
                    if let Some(mut stream) = connections.get(&connection) {
                        let _ = write_message(&mut stream, &bytes);
                    }
                }
                Action::Query { token, upstream, transport, bytes } => {
                    let events = events.clone();
                    let to = upstream.to_socket_addr(53, |_| None).unwrap();
                    thread::spawn(move || {
                        let answer = match transport {
                            Transport::Udp => ask_udp(to, &bytes),
                            Transport::Tcp => ask_tcp(to, &bytes),
                        };
                        let _ = events.send(match answer {
                            Ok(answer) => Event::Answer(upstream, token, answer),
                            Err(_) => Event::Failure(token),
                        });
                    });
                }
                // The thread of a query ends by itself.
                Action::Done { .. } => {}
            }
        }
    }
}

fn ask_udp(upstream: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("[::]:0")?;
    socket.connect(upstream)?;
    socket.send(bytes)?;
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn ask_tcp(upstream: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream)?;
    write_message(&mut stream, bytes)?;
    read_message(&mut stream)
}

pub(crate) fn write_message(stream: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed)
}

pub(crate) fn read_message(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
