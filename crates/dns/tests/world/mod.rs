//! A forwarder, its clients and its upstreams in simulated time.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod dns64;

use core::time::Duration;
use sixgate_endpoint::Endpoint;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sixgate_dns::{Action, Client, Config, Counters, Forwarder, Names, Token, Transport};

pub(crate) const START: Duration = Duration::from_secs(1_800_000_003);

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub(crate) fn upstream(last: u16) -> Endpoint {
    format!("[2001:db8::{last:x}]:53").parse().unwrap()
}

pub(crate) fn question(text: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name(text), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.edns = Some(edns);
    message
}

/// The options of an answer that hold an extended error (RFC 8914).
pub(crate) fn extended_errors(message: &Message) -> Vec<u16> {
    let Some(edns) = &message.edns else { return Vec::new() };
    let code = |(code, option): &(EdnsCode, EdnsOption)| match (code, option) {
        (EdnsCode::Unknown(15), EdnsOption::Unknown(_, data)) => {
            Some(u16::from_be_bytes(*data.first_chunk().unwrap()))
        }
        _ => None,
    };
    edns.options().options.iter().filter_map(code).collect()
}

/// A query that the forwarder wants to have sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) token: Token,
    pub(crate) upstream: Endpoint,
    pub(crate) transport: Transport,
    pub(crate) message: Message,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) forwarder: Forwarder<u32>,
    pub(crate) names: Names,
    pub(crate) replies: Vec<(u32, Message)>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) done: Vec<Token>,
}

impl World {
    pub(crate) fn new(config: Config, upstreams: &[Endpoint]) -> Self {
        let mut forwarder = Forwarder::new(config, fastrand::Rng::with_seed(7));
        forwarder.set_upstreams(upstreams);
        Self {
            now: START,
            forwarder,
            names: Names::new(&["2001:db8:5::/64".parse().unwrap()]),
            replies: Vec::new(),
            sizes: Vec::new(),
            sent: Vec::new(),
            done: Vec::new(),
        }
    }

    pub(crate) fn carry_out(&mut self, actions: Vec<Action<u32>>) {
        for action in actions {
            match action {
                Action::Reply { client, bytes } => {
                    self.sizes.push(bytes.len());
                    self.replies.push((client.peer, Message::from_vec(&bytes).unwrap()));
                }
                Action::Query { token, upstream, transport, bytes } => {
                    let message = Message::from_vec(&bytes).unwrap();
                    self.sent.push(Sent { token, upstream, transport, message });
                }
                Action::Done { token } => self.done.push(token),
            }
        }
    }

    pub(crate) fn raw(&mut self, client: Client<u32>, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.forwarder.handle_query(self.now, client, bytes, &self.names, &mut actions);
        self.carry_out(actions);
    }

    pub(crate) fn ask(&mut self, peer: u32, message: &Message) {
        let client = Client { peer, transport: Transport::Udp, udp_limit: 1232, share: 0 };
        self.raw(client, &message.to_vec().unwrap());
    }

    /// The reply to a question that needs no upstream.
    pub(crate) fn reply(&mut self, message: &Message) -> Message {
        let before = self.sent.len();
        self.replies.clear();
        self.ask(1, message);
        assert_eq!(self.sent.len(), before, "nothing is asked of an upstream");
        assert_eq!(self.replies.len(), 1);
        self.replies.remove(0).1
    }

    pub(crate) fn answer(&mut self, sent: &Sent, message: &Message) {
        self.answer_bytes(sent, &message.to_vec().unwrap());
    }

    pub(crate) fn answer_bytes(&mut self, sent: &Sent, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.forwarder.handle_answer(self.now, sent.upstream, sent.token, bytes, &mut actions);
        self.carry_out(actions);
    }

    pub(crate) fn fail(&mut self, sent: &Sent) {
        let mut actions = Vec::new();
        self.forwarder.handle_failure(self.now, sent.token, &mut actions);
        self.carry_out(actions);
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.forwarder.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "a timeout is never left behind");
            self.now = due;
            let mut actions = Vec::new();
            self.forwarder.handle_timeout(self.now, &mut actions);
            self.carry_out(actions);
        }
        self.now = end;
    }

    pub(crate) fn take_sent(&mut self) -> Sent {
        assert_eq!(self.sent.len(), 1, "one query is under way");
        self.sent.remove(0)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.forwarder.counters()
    }

    /// Asks, has the upstream answer at once, and gives the reply.
    pub(crate) fn resolve(&mut self, message: &Message, make: impl Fn(&Sent) -> Message) -> Message {
        self.replies.clear();
        self.ask(1, message);
        let sent = self.take_sent();
        let answer = make(&sent);
        self.answer(&sent, &answer);
        assert_eq!(self.replies.len(), 1);
        self.replies.remove(0).1
    }
}

impl Sent {
    pub(crate) fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::response(self.message.metadata.id, OpCode::Query);
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        message.queries.clone_from(&self.message.queries);
        if self.message.edns.is_some() {
            message.edns = Some(Edns::new());
        }
        message
    }

    pub(crate) fn positive(&self, ttl: u32) -> Message {
        let mut message = self.response(ResponseCode::NoError);
        let data = RData::AAAA("2001:db8::80".parse().unwrap());
        message.answers.push(Record::from_rdata(self.message.queries[0].name.clone(), ttl, data));
        message
    }

    pub(crate) fn negative(&self, code: ResponseCode, ttl: u32, minimum: u32) -> Message {
        let mut message = self.response(code);
        let soa = SOA::new(name("ns.example."), name("who.example."), 1, 2, 3, 4, minimum);
        message.authorities.push(Record::from_rdata(name("example."), ttl, RData::SOA(soa)));
        message
    }

    pub(crate) fn large(&self, octets: usize) -> Message {
        let mut message = self.response(ResponseCode::NoError);
        for n in 0..octets / 200 {
            let data = RData::TXT(TXT::new(vec![format!("{n:0>188}")]));
            message.answers.push(Record::from_rdata(self.message.queries[0].name.clone(), 300, data));
        }
        message
    }
}
