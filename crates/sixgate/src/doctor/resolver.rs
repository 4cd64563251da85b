//! Resolvers: whether they answer, how fast, and whether they make addresses for names that have IPv4 alone.

use super::seen::Resolver;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use sixgate_endpoint::{Endpoint, nat64};
use std::net::{IpAddr, UdpSocket};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

/// How often each is asked, and how long is waited.
const TIMES: u32 = 4;
const PATIENCE: Duration = Duration::from_millis(1500);

/// Asks a resolver for addresses of `ipv4only.arpa`, several times.
pub(super) fn ask(resolver: Endpoint, told_by: &str, index_of: impl Fn(&str) -> Option<u32>) -> Resolver {
    let mut seen =
        Resolver { address: resolver.to_string(), told_by: told_by.to_owned(), ..Resolver::default() };
    let Some(address) = resolver.to_socket_addr(53, index_of) else { return seen };
    let any = resolver.family().any_port();
    let connect = || {
        let socket = any.to_socket_addr(0, |_| None).and_then(|any| UdpSocket::bind(any).ok())?;
        socket.connect(address).is_ok().then_some(socket)
    };
    for _ in 0..TIMES {
        seen.asked += 1;
        let begun = Instant::now();
        let answer = connect().and_then(|socket| exchange(&socket));
        match answer {
            Some(Answer::Addresses(addresses)) => {
                seen.answers_ms.push(sixgate_measure::stats::ms(begun.elapsed()));
                seen.dns64 = addresses;
            }
            Some(Answer::Refused) => seen.refuses = true,
            // Silent twice: it is silent.
            None if seen.asked >= 2 && seen.answers_ms.is_empty() => break,
            None => {}
        }
    }
    if !seen.answers_ms.is_empty() {
        seen.software = connect().and_then(|socket| version(&socket));
    }
    seen
}

/// What a resolver says.
enum Answer {
    /// These addresses, or none.
    Addresses(Vec<String>),
    /// We are not served.
    Refused,
}

/// The answer, where one comes: its IPv6 addresses, or nothing where it says that we are not served. Any other answer shows a resolver at
/// work, whatever it knows of this name.
fn exchange(socket: &UdpSocket) -> Option<Answer> {
    let question = Query::query(Name::from_str(nat64::WELL_KNOWN_NAME).ok()?, RecordType::AAAA);
    let answer = answer(socket, question)?;
    if answer.metadata.response_code == ResponseCode::Refused {
        return Some(Answer::Refused);
    }
    let address = |record: &hickory_proto::rr::Record| match &record.data {
        RData::AAAA(address) => Some(Endpoint::new(IpAddr::from(address.0)).to_string()),
        _ => None,
    };
    Some(Answer::Addresses(answer.answers.iter().filter_map(address).take(8).collect()))
}

/// What it says that it is (RFC 4892 section 2.2).
fn version(socket: &UdpSocket) -> Option<String> {
    let mut question = Query::query(Name::from_str("version.bind.").ok()?, RecordType::TXT);
    question.set_query_class(DNSClass::CH);
    let answer = answer(socket, question)?;
    let text = answer.answers.iter().find_map(|record| match &record.data {
        RData::TXT(text) => Some(super::portal::text(text.txt_data.first()?)),
        _ => None,
    })?;
    Some(text).filter(|text| !text.is_empty())
}

/// The answer to one question, where one comes.
fn answer(socket: &UdpSocket, question: Query) -> Option<Message> {
    let id = fastrand::u16(..);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(question);
    socket.send(&message.to_vec().ok()?).ok()?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        let length = socket.recv(&mut buffer).ok()?;
        let Ok(answer) = Message::from_vec(buffer.get(..length)?) else { continue };
        if answer.metadata.id != id || answer.metadata.message_type != MessageType::Response {
            continue;
        }
        return Some(answer);
    }
}
