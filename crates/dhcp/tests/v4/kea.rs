//! The same questions to this server and to Kea: the same answers, but where the difference has a reason.

use crate::asking::{ANY, Ask, GATEWAY, Heard, LEASE, WAIT, config, link, mostly_link};
use crate::real::{Edge, PATIENCE};
use sixgate_dhcp::v4::{Destination, Reply};
use sixgate_lab::{Command, Host, Lab, wait_for};
use sixgate_wire::dhcpv4::{BROADCAST, Header, MessageType, OptionCode};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 17);

fn kea_config(v6only: bool) -> String {
    let option = if v6only {
        format!(r#", {{ "name": "v6-only-preferred", "data": "{WAIT}" }}"#)
    } else {
        String::new()
    };
    format!(
        r#"{{ "Dhcp4": {{
            "interfaces-config": {{ "interfaces": [ "lan0" ] }}, "authoritative": true,
            "lease-database": {{ "type": "memfile", "persist": false }},
            "valid-lifetime": {LEASE}, "calculate-tee-times": true,
            "subnet4": [ {{ "id": 1, "subnet": "192.0.2.0/24", "interface": "lan0",
                "pools": [ {{ "pool": "192.0.2.10-192.0.2.19" }} ],
                "option-data": [ {{ "name": "routers", "data": "192.0.2.1" }},
                                 {{ "name": "domain-name-servers", "data": "192.0.2.1" }}{option} ] }} ],
            "loggers": [ {{ "name": "kea-dhcp4", "severity": "INFO",
                "output_options": [ {{ "output": "stdout" }} ] }} ]
        }} }}"#
    )
}

/// What an answer amounts to; which address of the pool it is does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gist {
    kind: MessageType,
    gives: bool,
    lease: Option<u32>,
    v6only: Option<u32>,
    options: BTreeSet<OptionCode>,
}

/// A host that asks with its own hands.
struct Asker {
    host: Host,
    socket: UdpSocket,
    markers: u32,
}

impl Asker {
    fn new(host: Host) -> Self {
        let socket = host.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            socket.bind_device(Some(b"eth0")).unwrap();
            socket.set_broadcast(true).unwrap();
            socket.bind(&SocketAddrV4::new(ANY, 68).into()).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            UdpSocket::from(socket)
        });
        Self { host, socket, markers: 0 }
    }

    fn send(&self, ask: &Ask) {
        let to = if ask.header.ciaddr.is_unspecified() { Ipv4Addr::BROADCAST } else { GATEWAY };
        self.host.run(|| self.socket.send_to(&ask.bytes(), (to, 67)).unwrap());
    }

    /// Waits until a broadcast reaches the server: the first frames on a new segment may be lost.
    fn wait_ready(&self) {
        let mut ask = Ask::new(MessageType::INFORM, 998).at(HOME);
        ask.header.xid = 0x7800_0000;
        let answered = || {
            self.host.run(|| self.socket.send_to(&ask.bytes(), (Ipv4Addr::BROADCAST, 67)).unwrap());
            self.receive().is_some_and(|heard| heard.header.xid == ask.header.xid)
        };
        wait_for("a broadcast is answered", PATIENCE, answered).unwrap();
    }

    fn receive(&self) -> Option<Heard> {
        let mut bytes = [0; 2000];
        let length = self.socket.recv(&mut bytes).ok()?;
        let bytes = bytes[..length].to_vec();
        // Who sent it and where to is not looked at here.
        let reply = Reply { link: "lan".into(), source: GATEWAY, destination: Destination::Broadcast, bytes };
        Some(Heard::read(&reply))
    }

    /// The answer, or none: a question that always has an answer is asked after it, and answered after it.
    fn ask(&mut self, ask: &Ask) -> Option<Heard> {
        let ask = Ask { header: Header { flags: BROADCAST, ..ask.header }, ..ask.clone() };
        self.send(&ask);
        self.markers += 1;
        let mut marker = Ask::new(MessageType::INFORM, 999).at(HOME);
        marker.header.xid = 0x7700_0000 + self.markers;
        self.send(&marker);
        let begin = Instant::now();
        let mut heard = None;
        while begin.elapsed() < PATIENCE {
            match self.receive() {
                Some(answer) if answer.header.xid == marker.header.xid => return heard,
                Some(answer) if answer.header.xid == ask.header.xid => heard = Some(answer),
                _ => {}
            }
        }
        panic!("no answer to {marker:?}");
    }
}

fn gist(heard: &Heard) -> Gist {
    let told = heard.options.keys().copied().filter(|code| *code != OptionCode::MESSAGE);
    Gist {
        kind: heard.kind,
        gives: !heard.address.is_unspecified(),
        lease: heard.lease,
        v6only: heard.v6only,
        options: told.collect(),
    }
}

fn asks(ask: Ask) -> Ask {
    ask.with(OptionCode::PARAMETER_REQUEST_LIST, &[1, 3, 6])
}

/// A client's life, and what it was answered.
fn life(asker: &mut Asker) -> Vec<(&'static str, Option<Gist>)> {
    let mut told = Vec::new();
    let mut say = |asker: &mut Asker, what, ask: Ask| {
        let heard = asker.ask(&ask);
        told.push((what, heard.as_ref().map(gist)));
        heard
    };
    let offer = say(asker, "discover", asks(Ask::discover(1))).unwrap();
    let held = say(asker, "select", asks(Ask::select(1, offer.address))).unwrap().address;
    assert_eq!(held, offer.address);
    asker.host.add_address("eth0", ipnet::IpNet::new(held.into(), 24).unwrap()).unwrap();
    say(asker, "renew", asks(Ask::renew(1, held)));
    say(asker, "reboot", asks(Ask::reboot(1, held)));
    say(asker, "reboot, another network", asks(Ask::reboot(1, [198, 51, 100, 1].into())));
    let another = if held == OTHER { Ipv4Addr::new(192, 0, 2, 18) } else { OTHER };
    say(asker, "reboot, an address that it does not hold", asks(Ask::reboot(1, another)));
    say(asker, "select what another holds", asks(Ask::select(2, held)));
    say(asker, "reboot with what another holds", asks(Ask::reboot(2, held)));
    say(
        asker,
        "select for another server",
        Ask::reboot(2, OTHER).with(OptionCode::SERVER_ID, &[192, 0, 2, 9]),
    );
    say(asker, "inform", asks(Ask::new(MessageType::INFORM, 3).at(HOME)));
    say(asker, "decline", Ask::decline(1, held));
    let offer = say(asker, "discover after a decline", asks(Ask::discover(1))).unwrap();
    assert_ne!(offer.address, held);
    let held = say(asker, "select again", asks(Ask::select(1, offer.address))).unwrap().address;
    say(asker, "release", Ask::release(1, held));
    say(asker, "discover after a release", asks(Ask::discover(1)));
    say(asker, "an offer is no message for servers", Ask::new(MessageType::OFFER, 1));
    told
}

/// The same, for a client that can do without IPv4.
fn without(asker: &mut Asker) -> Vec<(&'static str, Option<Gist>)> {
    let discover = asker.ask(&Ask::discover(4).capable());
    let quick = asker.ask(&Ask::discover(4).capable().with(OptionCode::RAPID_COMMIT, &[]));
    let printer = asker.ask(&asks(Ask::discover(5)));
    let told = [("discover", discover), ("with rapid commit", quick), ("who does not ask", printer)];
    told.map(|(what, heard)| (what, heard.as_ref().map(gist))).into()
}

fn stage(name: &str) -> (Lab, Host, Asker) {
    sixgate_lab::root_for_tests().unwrap();
    let lab = Lab::new(name).unwrap();
    let (gateway, host) = (lab.host("gateway").unwrap(), lab.host("host").unwrap());
    let segment = lab.segment("lan").unwrap();
    segment.attach(&gateway, "lan0").unwrap();
    segment.attach(&host, "eth0").unwrap();
    drop(segment);
    for (host, interface, address) in [(&gateway, "lan0", GATEWAY), (&host, "eth0", HOME)] {
        host.add_address(interface, ipnet::IpNet::new(address.into(), 24).unwrap()).unwrap();
    }
    let asker = Asker::new(host);
    (lab, gateway, asker)
}

type Answers = Vec<(&'static str, Option<Gist>)>;

fn kea(name: &str, v6only: bool, talk: fn(&mut Asker) -> Answers) -> Answers {
    let (lab, gateway, mut asker) = stage(name);
    let folder: &Path = lab.folder();
    let file = folder.join("kea.conf");
    std::fs::write(&file, kea_config(v6only)).unwrap();
    let command = Command::new("kea-dhcp4").arg("-c").arg(&file);
    let command = command.env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", folder);
    let kea = gateway.spawn(&command).unwrap();
    kea.wait_line("DHCP4_STARTED", PATIENCE).unwrap();
    asker.wait_ready();
    let answers = talk(&mut asker);
    kea.stop(PATIENCE).unwrap();
    answers
}

fn ours(name: &str, v6only: bool, talk: fn(&mut Asker) -> Answers) -> Answers {
    let (lab, gateway, mut asker) = stage(name);
    let edge = Edge::start(&gateway, config(vec![if v6only { mostly_link() } else { link() }]));
    asker.wait_ready();
    let answers = talk(&mut asker);
    drop((edge, lab));
    answers
}

#[test]
fn the_same_questions_have_the_same_answers() {
    let (ours, kea) = (ours("v4-ours", false, life), kea("v4-kea", false, life));
    for (ours, kea) in ours.iter().zip(&kea) {
        let mut ours = ours.clone();
        if let ("inform", Some(gist)) = &mut ours {
            // RFC 2131 section 4.3.5: what was asked for. Kea leaves the mask out.
            assert!(gist.options.remove(&OptionCode::SUBNET_MASK));
        }
        assert_eq!(ours, *kea);
    }
    assert_eq!(ours.len(), kea.len());
}

#[test]
fn option_108_is_given_alike() {
    let (ours, kea) = (ours("v4-ours-108", true, without), kea("v4-kea-108", true, without));
    let v6only = |answers: &Answers| -> Vec<_> {
        answers.iter().map(|(what, gist)| (*what, gist.as_ref().map(|g| (g.kind, g.v6only)))).collect()
    };
    assert_eq!(v6only(&ours), v6only(&kea));
    // RFC 8925 section 3.3: no address is offered with it; where that is not feasible, as for this Kea, one
    // may be.
    let gives = |answers: &Answers| answers[0].1.as_ref().unwrap().gives;
    assert_eq!((gives(&ours), gives(&kea)), (false, true));
    assert_eq!(ours.last(), kea.last(), "who does not ask");
}
