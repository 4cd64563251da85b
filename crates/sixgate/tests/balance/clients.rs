//! Many clients behind one socket, and the bucket of each by Kea's library.

use crate::network::PATIENCE;
use sixgate_lab::Host;
use sixgate_wire::dhcpv6::{
    ALL_RELAY_AGENTS_AND_SERVERS, Builder, CLIENT_PORT, Duid, Message, MessageType, OptionCode, SERVER_PORT,
    TransactionId,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Messages sent before all answers to them are awaited. Every server gets every message; of more at one time a busy one lets
/// some go (its queue may stand for a tenth of a second), and their clients wait to ask again.
const BATCH: usize = 25;
/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_millis(500);
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
        socket.set_read_timeout(Some(AGAIN)).unwrap();
        let index = std::fs::read_to_string("/sys/class/net/eth0/ifindex");
        let scope = index.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(2);
        let to = SocketAddrV6::new(ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT, 0, scope);
        let mut answers = Answers::new();
        // Hears one answer; whether there was one.
        let hear = |answers: &mut Answers| {
            let mut room = [0; 4096];
            let length = match socket.recv_from(&mut room) {
                Ok((length, _)) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            };
            let message = Message::parse(&room[..length]).unwrap();
            assert_eq!(message.kind(), MessageType::ADVERTISE);
            let [a, b, c] = message.transaction().0;
            let client = u32::from_be_bytes([0, a, b, c]) as usize;
            let server = message.options().get(OptionCode::SERVER_ID).unwrap().to_vec();
            let by = answers.entry(client).or_default();
            // Who asks twice may be answered twice.
            if !by.contains(&server) {
                by.push(server);
            }
            true
        };
        let send = |transaction: u32, duid: &Duid| {
            let [_, a, b, c] = transaction.to_be_bytes();
            let mut room = [0; 512];
            let mut message = Builder::message(&mut room, MessageType::SOLICIT, TransactionId([a, b, c]));
            message.client_id(duid).elapsed_time(elapsed).ia_na(1, 0, 0, |_| {});
            socket.send_to(message.finish().unwrap(), to).unwrap();
        };
        // A busy server drops what has waited too long: its client asks again.
        let await_all = |answers: &mut Answers, asked: &[(u32, &Duid, usize)]| {
            let until = Instant::now() + PATIENCE;
            loop {
                let heard = |number: u32| answers.get(&(number as usize)).map_or(0, Vec::len);
                let lacking: Vec<_> =
                    asked.iter().filter(|(number, _, most)| heard(*number) < *most).collect();
                if lacking.is_empty() {
                    return;
                }
                assert!(Instant::now() < until, "{} clients had no answer", lacking.len());
                if !hear(answers) {
                    for (number, duid, _) in lacking {
                        send(*number, duid);
                    }
                }
            }
        };
        for (batch, duids) in duids.chunks(BATCH).enumerate() {
            let numbers = (batch * BATCH) as u32..;
            let asked: Vec<_> =
                numbers.zip(duids).map(|(number, duid)| (number, duid, answered(number as usize))).collect();
            for (number, duid, _) in &asked {
                send(*number, duid);
            }
            await_all(&mut answers, &asked);
        }
        let last: Vec<_> = (LAST..).zip(last).map(|(number, duid)| (number, *duid, 1)).collect();
        for (number, duid, _) in &last {
            send(*number, duid);
        }
        await_all(&mut answers, &last);
        answers.retain(|client, _| *client < duids.len());
        answers
    })
}
