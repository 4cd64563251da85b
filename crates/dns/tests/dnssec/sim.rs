//! The forwarder and the tree in simulated time.

use core::time::Duration;
use std::sync::LazyLock;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{RData, Record};
use sixgate_dns::{Action, Anchors, Client, Clock, Config, Dnssec, Forwarder, Names, Transport};
use sixgate_endpoint::Endpoint;

use super::server::respond;
use super::tree::Tree;
use super::wire::{name, type_number};

/// When the tree was signed.
pub(crate) const TIME: u32 = 1_800_000_000;
/// Keys cost: one tree serves all tests.
pub(crate) static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::new(TIME));

pub(crate) fn dnssec() -> Dnssec {
    Dnssec::new(Anchors::parse(&TREE.anchor()).unwrap())
}

/// Upstream, question and the tree's answer: what the upstream says.
type Bend = fn(&Endpoint, &[u8], Vec<u8>) -> Option<Vec<u8>>;

pub(crate) struct Sim {
    pub(crate) forwarder: Forwarder<u32>,
    pub(crate) now: Duration,
    /// Questions that went upstream: upstream's last number, and the message.
    pub(crate) asked: Vec<(Endpoint, Vec<u8>)>,
    /// What each upstream makes of the tree's answer; nothing for silence.
    pub(crate) bend: Bend,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: u8,
    pub(crate) authentic: bool,
    pub(crate) answers: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Told {
    pub(crate) fn read(bytes: Vec<u8>) -> Self {
        let (code, authentic) = (bytes[3] & 0x0f, bytes[3] & 0x20 != 0);
        Self { code, authentic, answers: u16::from_be_bytes([bytes[6], bytes[7]]), bytes }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match (self.code, self.authentic) {
            (2, _) => "bogus",
            (_, true) => "secure",
            (_, false) => "insecure",
        }
    }

    fn records(&self) -> Vec<Record> {
        let message = Message::from_vec(&self.bytes).unwrap();
        [message.answers, message.authorities].concat()
    }

    /// Owner and data of each record, in lower case: the case of names is not signed.
    pub(crate) fn data(&self) -> Vec<String> {
        let line = |record: &Record| match &record.data {
            RData::Unknown { rdata, .. } => {
                format!("{} {:?}", record.name, rdata.anything.to_ascii_lowercase())
            }
            data => format!("{} {data}", record.name),
        };
        self.records().iter().map(|record| line(record).to_lowercase()).collect()
    }

    pub(crate) fn types(&self) -> Vec<u16> {
        self.records().iter().map(|record| record.record_type().into()).collect()
    }

    /// The TTL of its first record.
    pub(crate) fn ttl(&self) -> u32 {
        self.records()[0].ttl
    }

    /// The codes of its extended errors (RFC 8914).
    pub(crate) fn errors(&self) -> Vec<u16> {
        let message = Message::from_vec(&self.bytes).unwrap();
        let code = |(code, option): &(_, _)| match (code, option) {
            (EdnsCode::Unknown(15), EdnsOption::Unknown(_, data)) => {
                Some(u16::from_be_bytes(*data.first_chunk::<2>().unwrap()))
            }
            _ => None,
        };
        message.edns.iter().flat_map(|edns| edns.options().options.iter().filter_map(code)).collect()
    }
}

/// Where the question of a query ends.
fn end(query: &[u8]) -> usize {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    end + 5
}

/// The type that a query asks for.
pub(crate) fn kind_of(query: &[u8]) -> u16 {
    u16::from_be_bytes([query[end(query) - 4], query[end(query) - 3]])
}

pub(crate) fn dnssec_ok(query: &[u8]) -> bool {
    query.get(end(query) + 7).is_some_and(|flags| flags & 0x80 != 0)
}

/// What the tree says to those who do not ask for signatures.
#[allow(clippy::unnecessary_wraps, reason = "as the test's hook has it")]
pub(crate) fn without_dnssec(query: &[u8]) -> Option<Vec<u8>> {
    let mut plain = query[..end(query)].to_vec();
    plain[11] = 0;
    let mut answer = respond(&TREE, &plain, false)?;
    let opt = answer.len() - 11;
    answer.truncate(opt);
    answer[11] = 0;
    Some(answer)
}

/// Bits of a query beyond the plain one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bits {
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
}

pub(crate) const DO: Bits = Bits { dnssec_ok: true, checking_disabled: false };

pub(crate) fn query(text: &str, kind: &str, bits: Bits) -> Vec<u8> {
    let second = if bits.checking_disabled { 0x30 } else { 0x20 };
    let mut bytes = vec![0x12, 0x34, 0x01, second, 0, 1, 0, 0, 0, 0, 0, 1];
    bytes.extend(name(text));
    bytes.extend(type_number(kind).to_be_bytes());
    bytes.extend([0, 1, 0, 0, 41, 0xff, 0xff, 0, 0, if bits.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    bytes
}

impl Sim {
    pub(crate) fn new(config: Config) -> Self {
        let mut forwarder = Forwarder::new(config, fastrand::Rng::with_seed(1));
        forwarder.set_upstreams(&["[2001:db8::1]:53".parse().unwrap()]);
        forwarder.set_clock(Clock::Now);
        let now = Duration::from_secs(TIME.into());
        Self { forwarder, now, asked: Vec::new(), bend: |_, _, answer| Some(answer) }
    }

    pub(crate) fn validating() -> Self {
        Self::new(Config { dnssec: Some(dnssec()), ..Config::default() })
    }

    /// Asks, has the tree answer whatever goes upstream, and gives the reply.
    pub(crate) fn ask(&mut self, text: &str, kind: &str, bits: Bits) -> Told {
        let client = Client { peer: 1, transport: Transport::Tcp, udp_limit: 1_232, share: 0 };
        let (names, mut actions) = (Names::new(&[]), Vec::new());
        self.forwarder.handle_query(self.now, client, &query(text, kind, bits), &names, &mut actions);
        for _ in 0..500 {
            let mut next = Vec::new();
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Reply { bytes, .. } => return Told::read(bytes),
                    Action::Done { .. } => {}
                    Action::Query { token, upstream, transport, bytes } => {
                        let answer = respond(&TREE, &bytes, transport == Transport::Udp).unwrap();
                        self.asked.push((upstream, bytes.clone()));
                        match (self.bend)(&upstream, &bytes, answer) {
                            Some(answer) => {
                                self.forwarder.handle_answer(self.now, upstream, token, &answer, &mut next);
                            }
                            None => self.forwarder.handle_failure(self.now, token, &mut next),
                        }
                    }
                }
            }
            if next.is_empty() {
                self.now = self.forwarder.poll_timeout().expect("something is under way");
                self.forwarder.handle_timeout(self.now, &mut next);
            }
            actions = next;
        }
        panic!("no reply to {text} {kind}");
    }
}
