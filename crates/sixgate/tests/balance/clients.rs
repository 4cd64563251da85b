//! Many clients behind one socket, and the bucket of each by Kea's library.

use crate::network::PATIENCE;
use sixgate_lab::Host;
use sixgate_wire::dhcpv6::{
    ALL_RELAY_AGENTS_AND_SERVERS, Builder, CLIENT_PORT, Duid, Message, MessageType, OptionCode, SERVER_PORT,
    TransactionId,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::{Command, Stdio};

/// Messages sent before all answers to them are awaited. Every server gets every message, and a socket's buffer holds no
/// more than some 250 of them.
const BATCH: usize = 100;
/// Transactions of messages sent to know that all before them were seen.
const LAST: u32 = 0x00ff_0000;

/// Clients with DUIDs of three kinds, made up but the same each time.
pub fn duids(count: usize) -> Vec<Duid> {
    let mut random = fastrand::Rng::with_seed(3074);
    (0..count)
        .map(|client| {
            let nic: [u8; 3] = [random.u8(..), random.u8(..), random.u8(..)];
            let mac = [0, 0, 0x5e, nic[0], nic[1], nic[2]];
            match client % 3 {
                0 => Duid::link_layer(mac),
                1 => Duid::link_layer_time(mac, 1_700_000_000 + u64::from(random.u32(..))),
                _ => Duid::uuid(random.u128(..).to_be_bytes()),
            }
        })
        .collect()
}

/// The bucket of each client, by the function with which Kea's servers balance.
pub fn buckets_by_kea(duids: &[Duid]) -> Vec<u8> {
    const PROGRAM: &str = r#"
import ctypes, glob, sys
library = ctypes.CDLL(glob.glob("/usr/lib/*/kea/hooks/libdhcp_ha.so")[0], mode=1)
hash_of = library._ZNK3isc2ha11QueryFilter15loadBalanceHashEPKhm
hash_of.restype = ctypes.c_ubyte
hash_of.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
for line in sys.stdin.read().split():
    key = bytes.fromhex(line.replace(":", ""))
    print(hash_of(None, key, len(key)))
"#;
    let lines = duids.iter().fold(String::new(), |mut text, duid| {
        writeln!(text, "{duid}").unwrap();
        text
    });
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Python reads all before it writes.
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// Who answered each client, by the servers' DUIDs.
pub type Answers = BTreeMap<usize, Vec<Vec<u8>>>;

/// Every client solicits once, having waited for so many hundredths of a second.
///
/// `answered` says how many answers a client will have: all are awaited before the next batch. When all have been sent, one more
/// client for each server in `last`, which must get its answer from it: a server takes messages in the order in which they came,
/// so that what it has not answered by then it never will.
pub fn solicit(
    host: &Host,
    duids: &[Duid],
    elapsed: u16,
    answered: impl Fn(usize) -> usize + Sync,
    last: &[&Duid],
) -> Answers {
    host.run(|| {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, CLIENT_PORT)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let index = std::fs::read_to_string("/sys/class/net/eth0/ifindex");
        let scope = index.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(2);
        let to = SocketAddrV6::new(ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT, 0, scope);
        let mut answers = Answers::new();
        let (mut expected, mut heard) = (0, 0);
        let hear = |answers: &mut Answers| {
            let mut room = [0; 4096];
            let (length, _) = socket.recv_from(&mut room).expect("an answer");
            let message = Message::parse(&room[..length]).unwrap();
            assert_eq!(message.kind(), MessageType::ADVERTISE);
            let [a, b, c] = message.transaction().0;
            let client = u32::from_be_bytes([0, a, b, c]) as usize;
            let server = message.options().get(OptionCode::SERVER_ID).unwrap().to_vec();
            answers.entry(client).or_default().push(server);
        };
        let send = |transaction: u32, duid: &Duid| {
            let [_, a, b, c] = transaction.to_be_bytes();
            let mut room = [0; 512];
            let mut message = Builder::message(&mut room, MessageType::SOLICIT, TransactionId([a, b, c]));
            message.client_id(duid).elapsed_time(elapsed).ia_na(1, 0, 0, |_| {});
            socket.send_to(message.finish().unwrap(), to).unwrap();
        };
        for (client, duid) in duids.iter().enumerate() {
            send(client as u32, duid);
            expected += answered(client);
            while client % BATCH == BATCH - 1 && heard < expected {
                hear(&mut answers);
                heard += 1;
            }
        }
        for (number, duid) in last.iter().enumerate() {
            send(LAST + number as u32, duid);
        }
        let ends = |answers: &Answers| {
            let one = |number: usize| answers.get(&(LAST as usize + number)).map_or(0, Vec::len);
            (0..last.len()).all(|number| one(number) > 0)
        };
        while !ends(&answers) {
            hear(&mut answers);
        }
        answers.retain(|client, _| *client < duids.len());
        answers
    })
}
