//! Very many DHCPv6 clients in one, for benchmarks: four-way exchanges or renewals, directly or as behind a relay agent,
//! at a given rate whatever is answered (open loop) or as many as are answered (closed loop).
//!
//! Nothing is sent again: what has no answer within a second is lost. The number of an exchange is
//! its transaction ID, so that an answer is found by index; what a client does next is copied out of what it was told.

#![allow(
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rates of a benchmark, far below 2^52"
)]

use super::{receive, send};
use crate::{Outcome, fail, print};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_linux::socket::{Outgoing, Slot, TOGETHER, Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv6::{
    ALL_RELAY_AGENTS_AND_SERVERS, Builder, CLIENT_PORT, DhcpOption, Duid, Message, MessageType, OptionCode,
    Packet, SERVER_PORT, TransactionId,
};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The interface that clients are on.
    #[arg(long)]
    pub(crate) interface: String,
    /// Addresses, prefixes, or both for each client.
    #[arg(long, value_enum, default_value = "address")]
    pub(crate) kind: Wanted,
    /// Behind a relay agent on this server's address, in place of multicast on the link.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) relay: Option<std::net::SocketAddrV6>,
    /// The link-address of relayed messages.
    #[arg(long, default_value = "::")]
    pub(crate) link_address: std::net::Ipv6Addr,
    /// The first of the addresses to send from; the following ones must be there too, if more are wanted.
    #[arg(long, default_value = "::")]
    pub(crate) source: std::net::Ipv6Addr,
    /// Addresses to send from, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sources: u16,
    /// Number of the first client.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Exchanges to begin, one for each client.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) clients: u64,
    /// Seconds after which no more are begun.
    #[arg(long, default_value_t = 3_600.0)]
    pub(crate) seconds: f64,
    /// Exchanges begun in a second, whether or not others are answered; as many as are answered where it is not given.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Exchanges under way at one time, where there is no rate.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
    /// Measure renewals: each client first gets its leases in four messages, as fast as can be.
    #[arg(long)]
    pub(crate) renew: bool,
    /// Milliseconds after which an exchange without its last answer is lost.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub(crate) patience: u64,
    /// Write down what each Reply gave: a line with the client's number and the address or prefix.
    #[arg(long, value_name = "FILE")]
    pub(crate) told: Option<PathBuf>,
}

/// Exchanges that are remembered, a power of two: more than can be under way.
const RING: usize = 1 << 20;
/// Octets of the longest message.
const LONGEST: usize = 1024;
/// Answers that come within this time are read together: the times that are told may be too long by it.
const MOMENT: Duration = Duration::from_micros(200);
/// Octets that may wait at each socket.
const WAITING: u32 = 16 << 20;

/// What each client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    Address,
    Prefix,
    Both,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Done,
    Solicit,
    Request,
    Renew,
}

#[derive(Debug, Clone, Copy)]
struct Exchange {
    number: u64,
    stage: Stage,
    began: Instant,
    sent: Instant,
}

#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    begun: u64,
    completed: u64,
    lost: u64,
    /// Answers that gave nothing.
    refused: u64,
    seconds: f64,
    /// Completed in a second of the time in which exchanges were begun.
    rate: f64,
    advertise_us: Spread,
    reply_us: Spread,
}

/// Microseconds from a message to its answer.
#[derive(Debug, Default, serde::Serialize)]
struct Spread {
    median: u32,
    p99: u32,
    most: u32,
}

impl Spread {
    fn of(mut all: Vec<u32>) -> Self {
        all.sort_unstable();
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len().saturating_sub(1))).copied();
        Self { median: at(50).unwrap_or(0), p99: at(99).unwrap_or(0), most: all.last().copied().unwrap_or(0) }
    }
}

/// `sixgate lab dhcp-load`.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let run = || {
        let mut load = Load::new(arguments)?;
        if arguments.renew {
            load.run(Stage::Solicit, None, f64::INFINITY)?;
        }
        // Whoever measures the server begins here.
        print("begin\n");
        let stage = if arguments.renew { Stage::Renew } else { Stage::Solicit };
        load.run(stage, arguments.rate, arguments.seconds)
    };
    match run().and_then(|counts: Counts| serde_json::to_string(&counts).map_err(io::Error::other)) {
        Ok(json) => print(&(json + "\n")),
        Err(error) => fail(&format!("cannot ask for leases on {}: {error}", arguments.interface)),
    }
}

struct Load<'a> {
    arguments: &'a Arguments,
    sockets: Vec<UdpSocket6>,
    to: SocketAddrV6,
    slots: Vec<Slot>,
    ring: Vec<Option<Exchange>>,
    /// What each client was told, for its renewals: the server's identifier and the associations, as options.
    held: Vec<Box<[u8]>>,
    told: Option<BufWriter<File>>,
    /// The next to begin, and the oldest that may be under way.
    next: u64,
    oldest: u64,
    under_way: usize,
    counts: Counts,
    advertise: Vec<u32>,
    reply: Vec<u32>,
}

impl<'a> Load<'a> {
    fn new(arguments: &'a Arguments) -> io::Result<Self> {
        let port = if arguments.relay.is_some() { SERVER_PORT } else { CLIENT_PORT };
        let interface = nix::net::if_::if_nametoindex(arguments.interface.as_str())?;
        let open = |number: u16| {
            let source = Ipv6Addr::from(u128::from(arguments.source) + u128::from(number));
            let scope = if source.is_unicast_link_local() { interface } else { 0 };
            let options = Udp6Options {
                multicast_interface: Some(interface),
                receive_buffer: Some(WAITING),
                together: true,
                ..Udp6Options::new(SocketAddrV6::new(source, port, 0, scope)).device(&arguments.interface)
            };
            udp6(&options).map_err(io::Error::other)
        };
        let all = SocketAddrV6::new(ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT, 0, interface);
        let kept = if arguments.renew { arguments.clients as usize } else { 0 };
        Ok(Self {
            arguments,
            sockets: (0..arguments.sources).map(open).collect::<io::Result<_>>()?,
            to: arguments.relay.unwrap_or(all),
            slots: (0..super::BATCH).map(|_| Slot::new(TOGETHER)).collect(),
            ring: vec![None; RING],
            held: vec![Box::default(); kept],
            told: arguments.told.as_ref().map(File::create).transpose()?.map(BufWriter::new),
            next: 0,
            oldest: 0,
            under_way: 0,
            counts: Counts::default(),
            advertise: Vec::new(),
            reply: Vec::new(),
        })
    }

    /// One phase: one exchange for each client, or as many as the seconds allow.
    fn run(&mut self, stage: Stage, rate: Option<f64>, seconds: f64) -> io::Result<Counts> {
        self.counts = Counts::default();
        (self.advertise, self.reply) = (Vec::new(), Vec::new());
        let first = self.next;
        let last = first + self.arguments.clients;
        let began = Instant::now();
        let mut ended = None;
        loop {
            let now = Instant::now();
            let passed = now - began;
            let begins = self.next < last && passed.as_secs_f64() < seconds;
            let mut busy = false;
            if begins {
                let due = match rate {
                    Some(rate) => {
                        ((passed.as_secs_f64() * rate) as u64).min(last - first) - (self.next - first)
                    }
                    None => {
                        (self.arguments.window.saturating_sub(self.under_way) as u64).min(last - self.next)
                    }
                };
                busy = due >= super::BATCH as u64;
                self.begin(stage, due.min(super::BATCH as u64), first)?;
            } else {
                ended.get_or_insert(now);
            }
            let read = self.read(first)?;
            self.forget(now);
            if !begins && self.under_way == 0 {
                break;
            }
            if read == 0 {
                let at_once = begins && rate.is_none() && self.under_way < self.arguments.window;
                let pause = if at_once { PollTimeout::ZERO } else { PollTimeout::from(1_u8) };
                let mut all: Vec<_> =
                    self.sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
                poll(&mut all, pause)?;
            }
            // At a rate that is given, what comes within a moment is read together: the load is to cost the machine little.
            if rate.is_some() && begins && !busy && read < super::BATCH {
                std::thread::sleep(MOMENT);
            }
        }
        if let Some(told) = &mut self.told {
            told.flush()?;
        }
        let counts = std::mem::take(&mut self.counts);
        let seconds = ended.map_or(0.0, |ended| (ended - began).as_secs_f64());
        Ok(Counts {
            begun: self.next - first,
            seconds,
            rate: counts.completed as f64 / seconds,
            advertise_us: Spread::of(std::mem::take(&mut self.advertise)),
            reply_us: Spread::of(std::mem::take(&mut self.reply)),
            ..counts
        })
    }

    fn begin(&mut self, stage: Stage, count: u64, first: u64) -> io::Result<()> {
        let mut messages: Vec<(usize, Vec<u8>)> = Vec::with_capacity(count as usize);
        let now = Instant::now();
        for _ in 0..count {
            let number = self.next;
            let client = number - first;
            let message = if stage == Stage::Renew {
                let held = self.held.get(client as usize).map_or(&[][..], |held| held);
                let content = |b: &mut Builder<'_>| {
                    b.octets(held);
                };
                self.message(MessageType::RENEW, number, client, content)?
            } else {
                let wanted = self.arguments.kind;
                let content = |b: &mut Builder<'_>| {
                    if wanted != Wanted::Prefix {
                        b.ia_na(1, 0, 0, |_| {});
                    }
                    if wanted != Wanted::Address {
                        b.ia_pd(2, 0, 0, |_| {});
                    }
                };
                self.message(MessageType::SOLICIT, number, client, content)?
            };
            messages.push((self.source_of(client), message));
            self.next += 1;
            self.under_way += 1;
            if let Some(place) = self.ring.get_mut(number as usize & (RING - 1)) {
                *place = Some(Exchange { number, stage, began: now, sent: now });
            }
        }
        self.send(&messages)
    }

    fn source_of(&self, client: u64) -> usize {
        client as usize % self.sockets.len()
    }

    /// A client's message, wrapped in that of a relay agent where there is one.
    fn message(
        &self,
        kind: MessageType,
        number: u64,
        client: u64,
        content: impl FnOnce(&mut Builder<'_>),
    ) -> io::Result<Vec<u8>> {
        let client = self.arguments.first + client;
        let [_, _, mac @ ..] = client.to_be_bytes();
        let [_, _, _, _, _, transaction @ ..] = number.to_be_bytes();
        let mut buffer = [0; LONGEST];
        let mut b = Builder::message(&mut buffer, kind, TransactionId(transaction));
        b.client_id(&Duid::link_layer(mac));
        content(&mut b);
        b.elapsed_time(0).oro(&[OptionCode::DNS_SERVERS]);
        let message = b.finish().map_err(io::Error::other)?;
        if self.arguments.relay.is_none() {
            return Ok(message.to_vec());
        }
        let mut outer = [0; LONGEST + 128];
        let peer = Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(client));
        let mut b =
            Builder::relay(&mut outer, MessageType::RELAY_FORWARD, 0, self.arguments.link_address, peer);
        b.option(OptionCode::RELAY_MSG, message);
        b.finish().map(<[u8]>::to_vec).map_err(io::Error::other)
    }

    fn send(&self, messages: &[(usize, Vec<u8>)]) -> io::Result<()> {
        for (number, socket) in self.sockets.iter().enumerate() {
            let mine = messages.iter().filter(|(source, _)| *source == number);
            let datagrams: Vec<_> =
                mine.map(|(_, bytes)| Outgoing { bytes, to: self.to, from: None }).collect();
            send(socket, &datagrams)?;
        }
        Ok(())
    }

    /// Reads what came on all sockets, and goes on with what it is about; how many datagrams there were.
    fn read(&mut self, first: u64) -> io::Result<usize> {
        let mut slots = std::mem::take(&mut self.slots);
        let mut requests = Vec::new();
        let mut read = 0;
        for socket in 0..self.sockets.len() {
            let Some(open) = self.sockets.get(socket) else { continue };
            let count = receive(open, &mut slots)?;
            read += count;
            for (bytes, _) in slots.iter().take(count).flat_map(Slot::datagrams) {
                let message = match Packet::parse(bytes) {
                    Ok(Packet::Message(message)) => Some(message),
                    Ok(Packet::Relay(relay)) => match relay.relayed() {
                        Some(Packet::Message(message)) => Some(message),
                        _ => None,
                    },
                    Err(_) => None,
                };
                if let Some(request) =
                    message.map(|message| self.answer(message, first)).transpose()?.flatten()
                {
                    requests.push((socket, request));
                }
            }
        }
        self.slots = slots;
        self.send(&requests)?;
        Ok(read)
    }

    /// Takes an answer; what to send next.
    fn answer(&mut self, message: Message<'_>, first: u64) -> io::Result<Option<Vec<u8>>> {
        let [a, b, c] = message.transaction().0;
        let number = u64::from(u32::from_be_bytes([0, a, b, c]));
        let index = number as usize & (RING - 1);
        let now = Instant::now();
        let open = self.ring.get(index).copied().flatten();
        let Some(exchange) = open.filter(|e| e.stage != Stage::Done && e.number & 0xff_ffff == number) else {
            return Ok(None);
        };
        let micros = (now - exchange.sent).as_micros().min(u128::from(u32::MAX)) as u32;
        let client = exchange.number - first;
        let mut next = Exchange { stage: Stage::Done, ..exchange };
        let mut request = None;
        match (exchange.stage, message.kind()) {
            (Stage::Solicit, MessageType::ADVERTISE) => {
                self.advertise.push(micros);
                if self.is_useful(message) {
                    let told = told(message);
                    let content = |b: &mut Builder<'_>| {
                        b.octets(&told);
                    };
                    request = Some(self.message(MessageType::REQUEST, exchange.number, client, content)?);
                    next = Exchange { stage: Stage::Request, sent: now, ..exchange };
                } else {
                    self.counts.refused += 1;
                }
            }
            (Stage::Request | Stage::Renew, MessageType::REPLY) => {
                self.reply.push(micros);
                if self.is_useful(message) {
                    self.counts.completed += 1;
                    if let Some(held) = self.held.get_mut(client as usize) {
                        *held = told(message).into();
                    }
                    self.write_down(message, client)?;
                } else {
                    self.counts.refused += 1;
                }
            }
            _ => return Ok(None),
        }
        if next.stage == Stage::Done {
            self.under_way -= 1;
        }
        if let Some(place) = self.ring.get_mut(index) {
            *place = Some(next);
        }
        Ok(request)
    }

    /// Whether an answer gives all that is wanted.
    fn is_useful(&self, message: Message<'_>) -> bool {
        let given = message.options().iter().filter(|option| match option {
            DhcpOption::IaNa(ia) => ia.addresses().any(|address| address.valid > 0),
            DhcpOption::IaPd(ia) => ia.prefixes().any(|prefix| prefix.valid > 0),
            _ => false,
        });
        given.count() >= if self.arguments.kind == Wanted::Both { 2 } else { 1 }
    }

    fn write_down(&mut self, message: Message<'_>, client: u64) -> io::Result<()> {
        let Some(file) = &mut self.told else { return Ok(()) };
        let client = self.arguments.first + client;
        for option in message.options().iter() {
            match option {
                DhcpOption::IaNa(ia) => {
                    for address in ia.addresses().filter(|address| address.valid > 0) {
                        writeln!(file, "{client} {}", address.address)?;
                    }
                }
                DhcpOption::IaPd(ia) => {
                    for prefix in ia.prefixes().filter(|prefix| prefix.valid > 0) {
                        writeln!(file, "{client} {}", prefix.net())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives up what is too old.
    fn forget(&mut self, now: Instant) {
        while self.oldest < self.next {
            let Some(place) = self.ring.get_mut(self.oldest as usize & (RING - 1)) else { break };
            if let Some(exchange) = place.filter(|exchange| exchange.stage != Stage::Done) {
                if now - exchange.began < Duration::from_millis(self.arguments.patience) {
                    break;
                }
                self.counts.lost += 1;
                self.under_way -= 1;
            }
            *place = None;
            self.oldest += 1;
        }
    }
}

/// The server's identifier and the associations of an answer, as options.
fn told(message: Message<'_>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(128);
    let copied = |code| matches!(code, OptionCode::SERVER_ID | OptionCode::IA_NA | OptionCode::IA_PD);
    for (code, data) in message.options().raw().filter(|(code, _)| copied(*code)) {
        octets.extend_from_slice(&code.0.to_be_bytes());
        octets.extend_from_slice(&(data.len() as u16).to_be_bytes());
        octets.extend_from_slice(data);
    }
    octets
}
