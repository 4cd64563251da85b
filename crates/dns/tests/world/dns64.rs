//! What the tests of DNS64 share.
#![allow(dead_code, reason = "each test file uses its own part")]

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, Record, RecordType};
use sixgate_dns::{Config, Dns64};
use sixgate_endpoint::nat64::Prefix;

use super::{Sent, World, name, question, upstream};

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
}

pub(crate) fn behind(text: &str) -> World {
    let dns64 = Some(Dns64::new(prefix(text)));
    World::new(Config { dns64, ..Config::default() }, &[upstream(1)])
}

pub(crate) fn one() -> World {
    behind("64:ff9b::/96")
}

/// Adds a record to the answers; its type is that of its text.
pub(crate) fn with(mut message: Message, owner: &str, ttl: u32, text: &str) -> Message {
    let data = match text.parse() {
        Ok(std::net::IpAddr::V4(node)) => RData::A(node.into()),
        Ok(std::net::IpAddr::V6(address)) => RData::AAAA(address.into()),
        Err(_) => RData::CNAME(CNAME(name(text))),
    };
    message.answers.push(Record::from_rdata(name(owner), ttl, data));
    message
}

pub(crate) fn ok(sent: &Sent) -> Message {
    sent.response(ResponseCode::NoError)
}

/// Owner, TTL and data of each answer.
pub(crate) fn answers(message: &Message) -> Vec<String> {
    let line = |record: &Record| format!("{} {} {}", record.name, record.ttl, record.data);
    message.answers.iter().map(line).collect()
}

impl World {
    /// Asks for AAAA records of `text`, has each question that the upstream gets answered, and gives the
    /// reply.
    pub(crate) fn look_up(&mut self, text: &str, make: impl Fn(&Sent) -> Message) -> Message {
        self.look_up_as(&question(text, RecordType::AAAA), make)
    }

    pub(crate) fn look_up_as(&mut self, query: &Message, make: impl Fn(&Sent) -> Message) -> Message {
        self.replies.clear();
        self.ask(1, query);
        while !self.sent.is_empty() {
            let sent = self.take_sent();
            self.answer(&sent, &make(&sent));
        }
        assert_eq!(self.replies.len(), 1, "one reply");
        let reply = self.replies.remove(0).1;
        assert_eq!(reply.queries, query.queries, "the question of the client");
        assert!(!reply.metadata.authentic_data);
        reply
    }
}

pub(crate) fn kind(sent: &Sent) -> RecordType {
    sent.message.queries[0].query_type
}

/// A name with A records only: the SOA of its zone has these times.
pub(crate) fn v4_only(sent: &Sent, ttl: u32, soa: (u32, u32), nodes: &[&str]) -> Message {
    match kind(sent) {
        RecordType::A => {
            let owner = sent.message.queries[0].name.to_string();
            nodes.iter().fold(ok(sent), |message, node| with(message, &owner, ttl, node))
        }
        _ => sent.negative(ResponseCode::NoError, soa.0, soa.1),
    }
}
