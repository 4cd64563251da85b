//! A client of the test's own: it asks for options and keeps the octets of what it hears.

use crate::network::PATIENCE;
use sixgate_lab::{Host, wait_some};
use sixgate_linux::socket::{Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv6::{
    ALL_RELAY_AGENTS_AND_SERVERS, Builder, CLIENT_PORT, Duid, Message, MessageType, OptionCode, SERVER_PORT,
    TransactionId,
};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

/// What an answer holds: the contents of each option, in the order of the packet.
pub type Heard = BTreeMap<OptionCode, Vec<Vec<u8>>>;

pub struct Probe {
    socket: UdpSocket6,
    xid: u8,
}

impl Probe {
    /// On the host's `eth0`, once that has a link-local address.
    pub fn new(host: &Host) -> Self {
        host.wait_link_local("eth0", PATIENCE).unwrap();
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT_PORT, 0, 0);
        Self { socket: host.run(|| udp6(&Udp6Options::new(any).device("eth0")).unwrap()), xid: 0 }
    }

    /// Asks once; what came back within `patience`.
    pub fn ask(
        &mut self,
        kind: MessageType,
        fill: impl Fn(&mut Builder<'_>),
        patience: Duration,
    ) -> Option<Heard> {
        self.xid = self.xid.wrapping_add(1);
        let mut room = [0; 1200];
        let mut b = Builder::message(&mut room, kind, TransactionId([0, 7, self.xid]));
        fill(b.elapsed_time(0));
        let all = SocketAddrV6::new(ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT, 0, 0);
        self.socket.send(b.finish().unwrap(), all, None).unwrap();
        let until = Instant::now() + patience;
        let mut buffer = vec![0; 65_536];
        while Instant::now() < until {
            let received = match self.socket.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let message = Message::parse(&buffer[..received.len]).unwrap();
            if message.transaction() == TransactionId([0, 7, self.xid]) {
                let mut heard = Heard::new();
                for (code, data) in message.options().raw() {
                    heard.entry(code).or_default().push(data.to_vec());
                }
                return Some(heard);
            }
        }
        None
    }

    /// Asks for options by Information-request until there is an answer.
    pub fn inform(&mut self, codes: &[OptionCode]) -> Heard {
        let fill = |b: &mut Builder<'_>| {
            b.client_id(&Duid::link_layer([2, 0, 0, 0, 0, 0x77])).oro(codes);
        };
        let look = || self.ask(MessageType::INFORMATION_REQUEST, fill, Duration::from_millis(500));
        wait_some("an answer", PATIENCE, look, String::new).unwrap()
    }
}
