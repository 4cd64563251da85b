//! Clients that others wrote, before the server on a socket: dhcpcd, dhclient and udhcpc, and old and new
//! ones on one segment.

use crate::asking::{KEY, config, mostly_link, secs};
use sixgate_dhcp::v4::{
    Action, Actions, Counters, Datagram, Destination, Lease, LeaseTable, Link, Pilot, Roster, Server,
    ServerConfig,
};
use sixgate_lab::{Capture, Command, Host, Lab, Process, Signal, wait_for, wait_some};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the edge and the test share.
struct Desk {
    server: Server,
    disk: LeaseTable,
}

/// The server, on a UDP socket of a host.
pub(crate) struct Edge {
    desk: Arc<Mutex<Desk>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

impl Edge {
    pub(crate) fn start(host: &Host, config: ServerConfig) -> Self {
        let server = Server::new(config, Vec::new(), Roster::default());
        let desk = Arc::new(Mutex::new(Desk { server, disk: LeaseTable::new() }));
        let stop = Arc::new(AtomicBool::new(false));
        let socket = host.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            socket.bind_device(Some(b"lan0")).unwrap();
            socket.set_broadcast(true).unwrap();
            socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67).into()).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            UdpSocket::from(socket)
        });
        let thread = {
            let (desk, stop) = (Arc::clone(&desk), Arc::clone(&stop));
            host.thread(move || {
                while !stop.load(Ordering::Relaxed) {
                    turn(&socket, &desk);
                }
            })
        };
        Self { desk, stop, thread: Some(thread.unwrap()) }
    }

    fn look<T>(&self, look: impl FnOnce(&mut Desk) -> T) -> T {
        look(&mut self.desk.lock().unwrap())
    }

    fn counters(&self) -> Counters {
        self.look(|desk| desk.server.counters())
    }

    /// The only lease, once `condition` holds for it.
    fn wait_lease(&self, what: &str, condition: impl Fn(&Lease) -> bool) -> Lease {
        let only = || self.look(|desk| desk.disk.iter().next().cloned());
        wait_for(what, PATIENCE, || only().is_some_and(|lease| condition(&lease))).unwrap();
        only().unwrap()
    }

    fn wait_released(&self, client: &Process) {
        let gone = || self.look(|desk| desk.disk.is_empty()).then_some(());
        let state = || format!("{:#?}\n{}", self.counters(), client.output());
        wait_some("no lease is left", PATIENCE, gone, state).unwrap();
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn turn(socket: &UdpSocket, desk: &Mutex<Desk>) {
    let mut bytes = [0; 2000];
    let received = socket.recv_from(&mut bytes);
    let mut desk = desk.lock().unwrap();
    let mut actions = Actions::new();
    if let Ok((length, SocketAddr::V4(from))) = received {
        let datagram = Datagram { link: "lan", source: *from.ip(), bytes: &bytes[..length] };
        desk.server.handle(now(), &datagram, &mut actions);
    }
    if desk.server.poll_timeout().is_some_and(|due| due <= now()) {
        desk.server.handle_timeout(now(), &mut actions);
    }
    while !actions.is_empty() {
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Reply(reply) => send(socket, reply.destination, &reply.bytes),
                Action::Commit { ticket, changes } => {
                    for change in changes {
                        desk.disk.apply(change);
                    }
                    desk.server.committed(ticket, &mut actions);
                }
                Action::Roster(_) => {}
            }
        }
    }
}

fn send(socket: &UdpSocket, destination: Destination, bytes: &[u8]) {
    if let Destination::LinkLayer { address, hardware } = destination {
        // It cannot answer ARP yet: its hardware address is told to the kernel.
        let mac = hardware.map(|octet| format!("{octet:02x}")).join(":");
        let arguments =
            ["neigh", "replace", &address.to_string(), "lladdr", &mac, "dev", "lan0", "nud", "reachable"];
        let told = std::process::Command::new("ip").args(arguments).status().unwrap();
        assert!(told.success());
    }
    let to = SocketAddrV4::new(destination.address(), destination.port());
    assert_eq!(socket.send_to(bytes, to).unwrap(), bytes.len());
}

/// A gateway with the server, and two hosts, on one segment.
struct Stage {
    edge: Edge,
    capture: Capture,
    new: Host,
    old: Host,
    gateway: Host,
    lab: Lab,
}

impl Stage {
    fn new(name: &str, link: Link, pilot: Pilot) -> Self {
        sixgate_lab::root_for_tests().unwrap();
        let lab = Lab::new(name).unwrap();
        let [gateway, new, old] = ["gateway", "new", "old"].map(|name| lab.host(name).unwrap());
        let segment = lab.segment("lan").unwrap();
        segment.attach(&gateway, "lan0").unwrap();
        segment.attach(&new, "eth0").unwrap();
        segment.attach(&old, "eth0").unwrap();
        drop(segment);
        gateway.add_address("lan0", "192.0.2.1/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
        let capture = gateway.capture("lan0").unwrap();
        let edge = Edge::start(&gateway, ServerConfig { pilot, ..config(vec![link]) });
        Self { edge, capture, new, old, gateway, lab }
    }

    /// All that the server sent is well-formed to an independent dissector.
    fn end(self) {
        let Self { edge, capture, new, old, gateway, lab } = self;
        let counters = edge.counters();
        drop(edge);
        let sent = usize::try_from(counters.offer + counters.ack + counters.nak).unwrap();
        let names = ["dhcp.option.dhcp"];
        capture.wait_fields("udp.srcport == 67", &names, sent, PATIENCE).unwrap();
        capture.assert_clean("udp.srcport == 67").unwrap();
        drop((new, old, gateway, lab));
    }
}

fn run(host: &Host, command: &Command) -> String {
    let process = host.spawn(command).unwrap();
    process.wait(PATIENCE).unwrap();
    process.output()
}

/// The IPv4 addresses of the host's `eth0`.
fn addresses(host: &Host) -> String {
    run(host, &Command::new("ip").args(["-4", "-o", "addr", "show", "dev", "eth0"]))
}

fn wait_address(host: &Host, address: Ipv4Addr) {
    let text = format!(" {address}/24 ");
    host.wait_for(&format!("{address} is on the interface"), PATIENCE, || addresses(host).contains(&text))
        .unwrap();
    // It works: the gateway answers.
    let ping = host.spawn(&Command::new("ping").args(["-c", "1", "-W", "5", "192.0.2.1"])).unwrap();
    assert!(ping.wait(PATIENCE).unwrap().success(), "{}", ping.output());
}

fn dhcpcd(host: &Host, options: &str) -> Process {
    let common = "duid\nhostname laptop\nnohook resolv.conf\nnoipv6\nnoipv4ll\nnodelay\nnoarp\n";
    host.write_file("/run/dhcpcd.conf", format!("{common}{options}\n")).unwrap();
    let arguments = ["-4", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"];
    host.spawn(&Command::new("dhcpcd").args(arguments)).unwrap()
}

/// Sends dhcpcd a signal until it says that it has it: while it runs a hook, a signal may be lost on it.
fn insist(dhcpcd: &Process, signal: Signal, line: &str) {
    let heard = || {
        dhcpcd.signal(signal).unwrap();
        dhcpcd.wait_line(line, Duration::from_secs(1)).is_ok()
    };
    wait_for(line, PATIENCE, heard).unwrap();
}

/// udhcpc with a script that does what it is told.
fn udhcpc(stage: &Stage, host: &Host) -> Process {
    let script = stage.lab.folder().join(format!("{}-udhcpc.sh", host.name()));
    let text = "#!/bin/sh\ncase $1 in\nbound | renew) ip addr replace $ip/$mask dev $interface ;;\n\
                deconfig) ip -4 addr flush dev $interface ;;\nesac\n";
    std::fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let udhcpc =
        Command::new("udhcpc").args(["-f", "-i", "eth0", "-x", "hostname:printer", "-t", "20", "-s"]);
    host.spawn(&udhcpc.arg(&script)).unwrap()
}

#[test]
fn dhcpcd_holds_renews_and_releases_a_lease() {
    let stage = Stage::new("v4-dhcpcd", mostly_link(), Pilot::everybody(KEY));
    let client = dhcpcd(&stage.new, "option domain_name_servers, interface_mtu\noption rapid_commit");
    let lease = stage.edge.wait_lease("dhcpcd has a lease", |_| true);
    assert_eq!((lease.hostname.as_deref(), lease.client.as_bytes()[0]), (Some("laptop"), 255));
    wait_address(&stage.new, lease.address);
    insist(&client, Signal::SIGUSR1, "received SIGUSR1");
    let renewed = stage.edge.wait_lease("dhcpcd renews", |lease| lease.renewed_at > lease.granted_at);
    assert_eq!(renewed.address, lease.address);
    // As `dhcpcd -k`.
    insist(&client, Signal::SIGALRM, "received SIGALRM");
    stage.edge.wait_released(&client);
    client.wait(PATIENCE).unwrap();
    assert_eq!(stage.edge.counters().told_v6only, 0, "it did not ask");
    stage.end();
}

/// One segment: dhcpcd asks for option 108 and holds no IPv4 address; the printer prints.
#[test]
fn dhcpcd_that_can_do_without_ipv4_holds_none_beside_one_that_cannot() {
    let stage = Stage::new("v4-mostly", mostly_link(), Pilot::everybody(KEY));
    let printer = udhcpc(&stage, &stage.old);
    let lease = stage.edge.wait_lease("the printer has a lease", |_| true);
    wait_address(&stage.old, lease.address);
    let laptop = dhcpcd(&stage.new, "option ipv6_only_preferred");
    laptop.wait_line("IPv6-Only Preferred received (1800 seconds)", PATIENCE).unwrap();
    assert_eq!(addresses(&stage.new).trim(), "");
    let counters = stage.edge.counters();
    assert_eq!((counters.asked_v6only, counters.told_v6only), (1, 1));
    assert_eq!(stage.edge.look(|desk| desk.disk.len()), 1, "nothing is set aside for it");
    // It stays that way: it says nothing more over IPv4, while the printer renews.
    printer.signal(Signal::SIGUSR1).unwrap();
    stage.edge.wait_lease("the printer renews", |lease| lease.renewed_at > lease.granted_at);
    assert_eq!(stage.edge.counters().discover, counters.discover);
    laptop.stop(PATIENCE).unwrap();

    // Out of the pilot, the same laptop gets IPv4.
    stage.edge.look(|desk| desk.server.set_pilot(Pilot::nobody(KEY), &mut Actions::new()));
    let laptop = dhcpcd(&stage.new, "option ipv6_only_preferred");
    let both = || stage.edge.look(|desk| desk.disk.len()) == 2;
    wait_for("the laptop has a lease, too", PATIENCE, both).unwrap();
    let other = stage.edge.look(|desk| desk.disk.iter().map(|l| l.address).find(|a| *a != lease.address));
    wait_address(&stage.new, other.unwrap());
    laptop.stop(PATIENCE).unwrap();

    // In it again, the laptop comes back with a lease that it remembers, and is told then.
    let requests = stage.edge.counters().request;
    stage.edge.look(|desk| desk.server.set_pilot(Pilot::everybody(KEY), &mut Actions::new()));
    let laptop = dhcpcd(&stage.new, "option ipv6_only_preferred");
    laptop.wait_line("IPv6-Only Preferred received (1800 seconds)", PATIENCE).unwrap();
    assert_eq!(stage.edge.counters().request, requests + 1, "it asked for its address");
    let none = || addresses(&stage.new).trim().is_empty();
    wait_for("the laptop holds no address", PATIENCE, none).unwrap();
    laptop.stop(PATIENCE).unwrap();
    printer.stop(PATIENCE).unwrap();
    stage.end();
}

#[test]
fn udhcpc_holds_renews_and_releases_a_lease() {
    let stage = Stage::new("v4-udhcpc", mostly_link(), Pilot::everybody(KEY));
    let client = udhcpc(&stage, &stage.old);
    let lease = stage.edge.wait_lease("udhcpc has a lease", |_| true);
    assert_eq!(lease.hostname.as_deref(), Some("printer"));
    wait_address(&stage.old, lease.address);
    client.signal(Signal::SIGUSR1).unwrap();
    let renewed = stage.edge.wait_lease("udhcpc renews", |lease| lease.renewed_at > lease.granted_at);
    assert_eq!(renewed.address, lease.address);
    client.signal(Signal::SIGUSR2).unwrap();
    stage.edge.wait_released(&client);
    client.stop(PATIENCE).unwrap();
    stage.end();
}

#[test]
fn dhclient_holds_renews_and_releases_a_lease() {
    // Short: dhclient renews when it is time, and not when it is told to.
    let link = Link { lease: secs(12), ..mostly_link() };
    let stage = Stage::new("v4-dhclient", link, Pilot::everybody(KEY));
    let files = ["-cf", "/dev/null", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
    let with = |first: &[&str]| Command::new("dhclient").args(first).args(files).arg("eth0");
    let client = stage.new.spawn(&with(&["-4", "-d", "-v"])).unwrap();
    let lease = stage.edge.wait_lease("dhclient has a lease", |_| true);
    wait_address(&stage.new, lease.address);
    let renewed = stage.edge.wait_lease("dhclient renews", |lease| lease.renewed_at > lease.granted_at);
    assert_eq!(renewed.address, lease.address);
    run(&stage.new, &with(&["-4", "-r", "-v"]));
    wait_for("dhclient releases", PATIENCE, || stage.edge.counters().release > 0).unwrap();
    stage.edge.wait_released(&client);
    // The one that releases also ends the first by its pid file, which that one empties and writes anew at each renewal: where it is
    // read between the two, the first goes on.
    client.stop(PATIENCE).unwrap();
    assert_eq!(stage.edge.counters().expired, 0);
    stage.end();
}
