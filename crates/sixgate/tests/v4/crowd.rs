//! A thousand simulated clients that could do without IPv4, and a hundred printers, from one host.

use crate::network::*;
use crate::world::*;
use sixgate_lab::Host;
use sixgate_linux::socket::{Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv4::{
    BOOTREQUEST, BROADCAST, Builder, CLIENT_PORT, ClientId, Hardware, Header, Message, MessageType,
    OptionCode, SERVER_PORT,
};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV6};
use std::time::{Duration, Instant};

const CAPABLE: u16 = 1_000;
const PRINTERS: u16 = 100;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

const CAMPUS: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nipv4 = \"10.7.0.1/20\"\n\
                      ipv4-lease = \"5m\"\n[pilot]\npercent = 0\n";

/// What a client was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    kind: MessageType,
    address: Ipv4Addr,
    /// Seconds of option 108.
    wait: Option<u32>,
}

struct Crowd {
    socket: UdpSocket6,
    xid: u32,
}

impl Crowd {
    fn new(host: &Host) -> Self {
        let any = SocketAddrV6::new(ANY.to_ipv6_mapped(), CLIENT_PORT, 0, 0);
        let options = Udp6Options { ipv4: true, broadcast: true, ..Udp6Options::new(any).device("eth0") };
        Self { socket: host.run(|| udp6(&options).unwrap()), xid: 1 }
    }

    /// Asks until there is an answer: a message may be lost, or dropped while the disk is written.
    fn ask(&mut self, client: u16, kind: MessageType, options: &[(OptionCode, [u8; 4])]) -> Answer {
        let hardware = Hardware::ethernet([2, 0, 0, 0, (client >> 8) as u8, client as u8]);
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "client {client} gets no answer");
            self.xid += 1;
            let header = Header {
                op: BOOTREQUEST,
                hardware,
                hops: 0,
                xid: self.xid,
                secs: 0,
                flags: BROADCAST,
                ciaddr: ANY,
                yiaddr: ANY,
                siaddr: ANY,
                giaddr: ANY,
            };
            let mut room = [0; 600];
            let mut builder = Builder::new(&mut room, &header, kind);
            builder.client_id(&ClientId::hardware(hardware));
            for (code, octets) in options {
                builder.option(*code, octets);
            }
            let wanted: &[u8] = if client < CAPABLE { &[1, 3, 6, 108] } else { &[1, 3, 6] };
            builder.option(OptionCode::PARAMETER_REQUEST_LIST, wanted);
            let all = SocketAddrV6::new(Ipv4Addr::BROADCAST.to_ipv6_mapped(), SERVER_PORT, 0, 0);
            self.socket.send(builder.finish().unwrap(), all, None).unwrap();
            if let Some(answer) = self.hear() {
                return answer;
            }
        }
    }

    fn hear(&self) -> Option<Answer> {
        let until = Instant::now() + Duration::from_secs(2);
        let mut buffer = [0; 1500];
        while Instant::now() < until {
            let received = match self.socket.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_micros(100));
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let message = Message::parse(&buffer[..received.len]).unwrap();
            if message.header().xid == self.xid {
                let wait = message.options().get(OptionCode::IPV6_ONLY_PREFERRED);
                let wait = wait.map(|octets| u32::from_be_bytes(octets[..].try_into().unwrap()));
                return Some(Answer { kind: message.kind(), address: message.header().yiaddr, wait });
            }
        }
        None
    }

    /// A client asks, and takes what it is offered; whether it is told to do without.
    fn come(&mut self, client: u16) -> bool {
        let offer = self.ask(client, MessageType::DISCOVER, &[]);
        assert_eq!(offer.kind, MessageType::OFFER);
        if offer.wait.is_some() {
            assert_eq!(offer.wait, Some(300));
            return true;
        }
        let options =
            [(OptionCode::REQUESTED_ADDRESS, offer.address.octets()), (OptionCode::SERVER_ID, [10, 7, 0, 1])];
        let ack = self.ask(client, MessageType::REQUEST, &options);
        assert_eq!(ack, Answer { kind: MessageType::ACK, address: offer.address, wait: None });
        false
    }

    /// All come; those that are told to do without.
    fn all(&mut self) -> BTreeSet<u16> {
        let told: BTreeSet<u16> = (0..CAPABLE + PRINTERS).filter(|client| self.come(*client)).collect();
        assert!(told.iter().all(|client| *client < CAPABLE), "a printer lost IPv4");
        told
    }
}

fn leases(sixgate: &Sixgate) -> usize {
    view(sixgate, "leases").as_array().unwrap().len()
}

#[test]
fn one_five_and_ten_percent_of_a_thousand_are_exact_nested_and_outlive_a_kill() {
    let segment = Segment::new("v4-crowd");
    let config = format!("{CAMPUS}{NAT64}");
    let mut sixgate = segment.serve(&config);
    let mut crowd = Crowd::new(&segment.new);
    // Everybody has IPv4 at first.
    assert_eq!(crowd.all().len(), 0);
    assert_eq!(leases(&sixgate), usize::from(CAPABLE + PRINTERS));
    let mut before = BTreeSet::new();
    for percent in [1, 5, 10_u16] {
        let shown = pilot(&sixgate, &[&format!("{percent}%")]);
        assert_eq!((&shown["asked"], &shown["chosen"]), (&CAPABLE.into(), &(percent * 10).into()));
        let told = crowd.all();
        assert_eq!(told.len(), usize::from(percent * 10), "{percent} %");
        assert!(told.is_superset(&before), "{percent} % takes somebody out");
        before = told;
    }
    assert_eq!(pilot(&sixgate, &[])["told"], 100);
    // The answer to the command was on the disk before it was given.
    pilot(&sixgate, &["9%"]);
    pilot(&sixgate, &["10%"]);
    sixgate.kill();
    sixgate = segment.serve(&config);
    let shown = pilot(&sixgate, &[]);
    assert_eq!(
        (&shown["percent"], &shown["file_percent"], &shown["commanded"]),
        (&10.into(), &0.into(), &true.into())
    );
    assert_eq!(crowd.all(), before, "another choice after a kill");
    sixgate.stop();
    sixgate = segment.serve(&config);
    assert_eq!(crowd.all(), before, "another choice after a restart");
    // Lowered, some go, and nobody comes.
    pilot(&sixgate, &["5%"]);
    let five = crowd.all();
    assert!(five.len() == 50 && five.is_subset(&before));
    // The file has its say when it says something else.
    write_config(&segment.gw, &config.replace("percent = 0", "percent = 2"));
    sixgate.process.signal(sixgate_lab::Signal::SIGHUP).unwrap();
    sixgate.process.wait_line("configuration reloaded", PATIENCE).unwrap();
    let shown = pilot(&sixgate, &[]);
    assert_eq!(
        (&shown["percent"], &shown["chosen"], &shown["commanded"]),
        (&2.into(), &20.into(), &false.into())
    );
    pilot(&sixgate, &["0"]);
    assert_eq!(crowd.all().len(), 0, "somebody is still without IPv4");
    assert_eq!(leases(&sixgate), usize::from(CAPABLE + PRINTERS));
    segment.end(sixgate);
}
