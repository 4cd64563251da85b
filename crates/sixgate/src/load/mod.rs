//! The two ends of a DNS benchmark: a client that keeps so many queries under way, and a resolver that answers whatever it
//! is asked. Both read and write in batches, so that what stands between them is what is measured. [`dhcp`] is the client of
//! a DHCPv6 benchmark.

pub(crate) mod dhcp;

use crate::{Outcome, fail, print};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_linux::socket::{Outgoing, Slot, Udp6Options, UdpSocket6, udp6};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct DnsLoad {
    /// The resolver.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) server: std::net::SocketAddrV6,
    /// Questions to ask.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) queries: u64,
    /// Names to ask for, in turn.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) names: u64,
    /// Number of the first name.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Questions under way at one time, at most 60,000.
    #[arg(long, default_value_t = 100)]
    pub(crate) window: usize,
    /// Sockets to ask from, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sockets: u16,
    /// Ask with EDNS.
    #[arg(long)]
    pub(crate) edns: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DnsUpstream {
    /// Where to listen.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) listen: std::net::SocketAddrV6,
}

/// Datagrams in one call.
const BATCH: usize = 32;
/// Longest datagram.
const LONGEST: usize = 2048;
/// What has no answer by then is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// One AAAA record for the name that was asked: a pointer to it, type, class, TTL of an hour, 16 octets.
const RECORD: [u8; 28] =
    [0xc0, 12, 0, 28, 0, 1, 0, 0, 14, 16, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What the client counts.
#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    answered: u64,
    lost: u64,
    /// Answers without a record, or cut.
    empty: u64,
    octets_sent: u64,
    octets_received: u64,
    seconds: f64,
}

/// `sixgate lab dns-load`.
pub(crate) fn ask(arguments: &DnsLoad) -> Outcome {
    match run(arguments) {
        Ok(counts) => match serde_json::to_string(&counts) {
            Ok(json) => print(&(json + "\n")),
            Err(error) => fail(&error.to_string()),
        },
        Err(error) => fail(&format!("cannot ask {}: {error}", arguments.server)),
    }
}

/// `sixgate lab dns-upstream`: until it is killed.
pub(crate) fn answer(arguments: &DnsUpstream) -> Outcome {
    let error = match serve(arguments.listen) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    fail(&format!("cannot answer on {}: {error}", arguments.listen))
}

fn open(address: SocketAddrV6) -> io::Result<UdpSocket6> {
    udp6(&Udp6Options::new(address)).map_err(io::Error::other)
}

fn slots() -> Vec<Slot> {
    (0..BATCH).map(|_| Slot::new(LONGEST)).collect()
}

/// Waits until there is something to read; whether there is.
fn readable(sockets: &[UdpSocket6], patience: Duration) -> io::Result<bool> {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    let mut all: Vec<_> = sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
    Ok(poll(&mut all, timeout)? > 0)
}

/// Reads what is there; how many.
fn receive(socket: &UdpSocket6, slots: &mut [Slot]) -> io::Result<usize> {
    match socket.recv_batch(slots) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        received => received,
    }
}

/// Sends all, waiting where the kernel has no room.
fn send(socket: &UdpSocket6, mut datagrams: &[Outgoing<'_>]) -> io::Result<()> {
    while !datagrams.is_empty() {
        match socket.send_batch(datagrams) {
            Ok(count) => datagrams = datagrams.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn run(arguments: &DnsLoad) -> io::Result<Counts> {
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    let sockets = (0..arguments.sockets).map(|_| open(any)).collect::<io::Result<Vec<_>>>()?;
    let mut slots = slots();
    let mut counts = Counts::default();
    // Each ID in use once at most; the free ones wait in a queue, so that a late answer meets no newer question.
    let mut free: VecDeque<u16> = (0..=u16::MAX).collect();
    let mut open: Vec<bool> = vec![false; 1 << 16];
    let (mut sent, mut under_way) = (0_u64, 0_usize);
    let began = Instant::now();
    while counts.answered + counts.lost < arguments.queries {
        for socket in &sockets {
            let share = (arguments.window / sockets.len()).clamp(1, BATCH);
            let mut queries = Vec::with_capacity(share);
            while under_way < arguments.window && sent < arguments.queries && queries.len() < share {
                let Some(id) = free.pop_front() else { break };
                queries.push(query(id, arguments.first + sent % arguments.names, arguments.edns));
                if let Some(open) = open.get_mut(usize::from(id)) {
                    *open = true;
                }
                (sent, under_way) = (sent + 1, under_way + 1);
            }
            counts.octets_sent += queries.iter().map(|query| query.len() as u64).sum::<u64>();
            let to = arguments.server;
            let datagrams: Vec<Outgoing<'_>> =
                queries.iter().map(|bytes| Outgoing { bytes, to, from: None }).collect();
            send(socket, &datagrams)?;
        }
        if under_way < arguments.window && sent < arguments.queries {
            continue;
        }
        if !readable(&sockets, PATIENCE)? {
            counts.lost += under_way as u64;
            under_way = 0;
            for (id, open) in open.iter_mut().enumerate().filter(|(_, open)| **open) {
                *open = false;
                free.push_back(id as u16);
            }
            continue;
        }
        for socket in &sockets {
            let count = receive(socket, &mut slots)?;
            for (bytes, _) in slots.iter().take(count).filter_map(Slot::datagram) {
                let Some(&[high, low, flags, _, _, _, _, answers, ..]) = bytes.first_chunk::<HEADER>() else {
                    continue;
                };
                let id = u16::from_be_bytes([high, low]);
                if let Some(open) = open.get_mut(usize::from(id)).filter(|open| **open) {
                    *open = false;
                    free.push_back(id);
                    under_way -= 1;
                    counts.answered += 1;
                    counts.octets_received += bytes.len() as u64;
                    counts.empty += u64::from(answers == 0 || flags & 0x02 != 0);
                }
            }
        }
    }
    counts.seconds = began.elapsed().as_secs_f64();
    Ok(counts)
}

/// The AAAA question for the name of this number.
fn query(id: u16, number: u64, edns: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
    let label = format!("host{number}");
    for label in [label.as_str(), "bench", "example"] {
        // Short: they are written here.
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 28, 0, 1]);
    if edns {
        bytes.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

fn serve(address: SocketAddrV6) -> io::Result<std::convert::Infallible> {
    let sockets = [open(address)?];
    let [socket] = &sockets;
    print("ready\n");
    let mut slots = slots();
    loop {
        readable(&sockets, Duration::from_hours(1))?;
        let count = receive(socket, &mut slots)?;
        let received = slots.iter().take(count).filter_map(Slot::datagram);
        let answers: Vec<_> = received
            .filter_map(|(bytes, from)| Some((answer_to(bytes)?, from.source, from.destination)))
            .collect();
        let datagrams: Vec<Outgoing<'_>> = answers
            .iter()
            .map(|(bytes, to, from)| Outgoing { bytes, to: *to, from: Some((*from, 0)) })
            .collect();
        send(socket, &datagrams)?;
    }
}

/// The question, and the one record, whatever was asked.
fn answer_to(query: &[u8]) -> Option<Vec<u8>> {
    let mut at = HEADER;
    while let Some(&length) = query.get(at).filter(|length| **length != 0) {
        at += 1 + usize::from(length);
    }
    let mut bytes = query.get(..at + 5)?.to_vec();
    if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
        header[2..].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    }
    bytes.extend_from_slice(&RECORD);
    Some(bytes)
}
