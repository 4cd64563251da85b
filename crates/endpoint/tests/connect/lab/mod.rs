//! Both drivers with real sockets: a client, a server, and a link between them that is broken in several
//! ways.

mod broken;
mod change;
mod names;
mod sockets;

use crate::world::ms;
use sixgate_endpoint::connect::{ConnectError, Connection, Connector, Policy, Trace};
use sixgate_endpoint::resolve::{Resolve, ResolveError, ResolveFailure};
use sixgate_endpoint::{Endpoint, Family, Host};
use sixgate_lab as lab;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server's addresses. Of IPv6 it has eight.
pub const V6: &str = "2001:db8:1::1";
pub const V4: &str = "192.0.2.1";

/// A client and a server on one link.
pub struct Net {
    pub client: lab::Host,
    pub server: lab::Host,
    _lab: lab::Lab,
}

pub fn net(name: &str) -> Net {
    net_with(name, |link| link)
}

pub fn net_with(name: &str, link: impl FnOnce(lab::Link) -> lab::Link) -> Net {
    lab::root_for_tests().unwrap();
    let lab = lab::Lab::new(name).unwrap();
    let (client, server) = (lab.host("client").unwrap(), lab.host("server").unwrap());
    for host in [&client, &server] {
        host.set_dad(false).unwrap();
    }
    lab.link(link(lab::Link::between((&client, "eth0"), (&server, "eth0")))).unwrap();
    let add = |host: &lab::Host, address: &str| {
        host.add_address_nodad("eth0", address.parse::<ipnet::IpNet>().unwrap()).unwrap();
    };
    add(&client, "2001:db8:1::c/64");
    add(&client, "192.0.2.200/24");
    for n in 1..=8 {
        add(&server, &format!("2001:db8:1::{n}/64"));
    }
    add(&server, "192.0.2.1/24");
    for address in ["[::]:80", "0.0.0.0:80"] {
        let listener = server.run(|| {
            let v6 = address.starts_with('[');
            let domain = if v6 { socket2::Domain::IPV6 } else { socket2::Domain::IPV4 };
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
            if v6 {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
            socket.listen(64).unwrap();
            TcpListener::from(socket)
        });
        // It ends with the test's process.
        server
            .thread(move || {
                for stream in listener.incoming() {
                    drop(stream);
                }
            })
            .unwrap();
    }
    let net = Net { client, server, _lab: lab };
    // Neighbours are known before anything is measured.
    for to in [V6, V4] {
        let connection = net.connect(Driver::Blocking, &Connector::new(Policy::default()), to);
        assert!(connection.is_ok(), "{to}: {:?}", connection.err().map(|error| error.to_string()));
    }
    net
}

/// Of the two drivers, which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Blocking,
    Tokio,
}

pub const BOTH: [Driver; 2] = [Driver::Blocking, Driver::Tokio];

/// A connection that was made, and how long it took by the clock.
#[derive(Debug)]
pub struct Made {
    pub peer: Endpoint,
    pub trace: Trace,
    pub took: Duration,
    /// Sockets of the client that are in a handshake, before the connection is closed.
    pub handshakes: Vec<String>,
}

impl Made {
    pub fn to(&self) -> String {
        self.peer.address().to_string()
    }
}

/// The sockets of the calling thread's network in state SYN_SENT.
fn handshakes() -> Vec<String> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap();
        let in_handshake = |line: &&str| line.split_ascii_whitespace().nth(3) == Some("02");
        found.extend(text.lines().skip(1).filter(in_handshake).map(str::to_owned));
    }
    found
}

impl Net {
    /// `nft` on the server: what is done with what comes in.
    pub fn break_with(&self, rules: &str) {
        let script = format!(
            "flush ruleset\ntable inet t {{ chain c {{ type filter hook input priority 0;\n{rules}\n}}\n}}\n"
        );
        self.server.write_file("/run/rules.nft", script).unwrap();
        run(&self.server, "nft", &["-f", "/run/rules.nft"]);
    }

    pub fn connect(&self, driver: Driver, connector: &Connector, host: &str) -> Result<Made, ConnectError> {
        let host: Host = host.parse().unwrap();
        let connector = connector.clone();
        let connect = move || {
            let begin = Instant::now();
            match driver {
                Driver::Blocking => {
                    let made = connector.connect(&host, 80)?;
                    Ok(look(begin.elapsed(), made))
                }
                Driver::Tokio => {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let made = runtime.block_on(connector.connect_async(&host, 80));
                    let took = begin.elapsed();
                    let made = made.map(|made| look(took, made));
                    // Threads that wait for a resolver are not waited for.
                    runtime.shutdown_background();
                    made
                }
            }
        };
        self.client.thread(connect).unwrap().join().unwrap()
    }
}

fn look<S: std::os::fd::AsFd>(took: Duration, made: Connection<S>) -> Made {
    let handshakes = handshakes();
    let peer = socket2::SockRef::from(&made.stream).peer_addr().unwrap().as_socket().unwrap();
    assert_eq!(Endpoint::from(peer).address(), made.peer.address(), "the peer is another one");
    Made { peer: made.peer, trace: made.trace, took, handshakes }
}

pub fn run(host: &lab::Host, program: &str, arguments: &[&str]) -> String {
    let process = host.spawn(&lab::Command::new(program).args(arguments)).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{program} {arguments:?}: {}", process.output());
    process.output()
}

/// What a name's question is answered with: after how long, and what.
#[derive(Debug, Clone)]
pub enum Reply {
    At(u64, Vec<&'static str>),
    Fail(&'static str),
    Never,
}

/// A resolver of the test's own. `Never` is until it is dropped.
#[derive(Default)]
pub struct Fixed {
    replies: Mutex<HashMap<(String, Family), Reply>>,
    over: Arc<(Mutex<bool>, Condvar)>,
}

impl Fixed {
    pub fn new(name: &str, v6: Reply, v4: Reply) -> Arc<Self> {
        let fixed = Self::default();
        fixed.set(name, Family::V6, v6);
        fixed.set(name, Family::V4, v4);
        Arc::new(fixed)
    }

    pub fn set(&self, name: &str, family: Family, reply: Reply) {
        self.replies.lock().unwrap().insert((name.to_owned(), family), reply);
    }

    /// Lets those go that wait for ever.
    pub fn release(&self) {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
    }

    fn wait(&self, time: Duration) {
        let over = self.over.0.lock().unwrap();
        drop(self.over.1.wait_timeout_while(over, time, |over| !*over).unwrap());
    }
}

impl Resolve for Fixed {
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        let reply = self.replies.lock().unwrap().get(&(name.to_owned(), family)).cloned();
        match reply {
            Some(Reply::At(after, addresses)) => {
                if after > 0 {
                    self.wait(ms(after));
                }
                Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
            }
            Some(Reply::Never) => {
                self.wait(PATIENCE);
                Ok(Vec::new())
            }
            Some(Reply::Fail(why)) => Err(ResolveError::new(name, family, ResolveFailure::NoAnswer, why)),
            None => Err(ResolveError::new(name, family, ResolveFailure::NoSuchName, "no such name")),
        }
    }
}

pub fn fixed(name: &str, v6: &[&'static str], v4: &[&'static str]) -> Arc<Fixed> {
    Fixed::new(name, Reply::At(0, v6.to_vec()), Reply::At(0, v4.to_vec()))
}

pub fn connector(resolver: Arc<Fixed>) -> Connector {
    Connector::new(Policy::default()).with_resolver(resolver)
}

/// A name that has both addresses of the server.
pub const NAME: &str = "www.example.com";
