//! The far side of a world: a resolver that knows every name, and servers that answer at every port of use.

use super::net;
use crate::nat64::{Setup, Translator};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sixgate_endpoint::listen::{Listen, Policy};
use sixgate_endpoint::nat64::Prefix;
use sixgate_lab::Host;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where the far side is, as its host has it.
pub(super) const ADDRESSES: [&str; 2] = ["2001:db8:f::10/128", "198.51.100.10/32"];
/// What is lost where IPv6 is.
pub(super) const PREFIX: &str = "2001:db8:f::/64";
/// Behind this prefix is IPv4: the well-known one must not hold addresses for documentation (RFC 6052 section 3.1).
const NAT64: &str = "2001:db8:64::/96";
/// What NAT64's users share.
const POOL: &str = "203.0.113.0/28";
/// Where the far side answers: what programs connect to.
const PORTS: [u16; 24] = [
    21, 22, 25, 80, 110, 143, 389, 443, 465, 587, 853, 993, 995, 1883, 3000, 3306, 5060, 5222, 5432, 6379,
    6667, 8000, 8080, 8443,
];
/// Questions that are remembered.
const QUESTIONS: usize = 10_000;
/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A question to the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// Since the world began.
    pub(crate) at: Duration,
    pub(crate) name: String,
    /// A, AAAA, HTTPS ...
    pub(crate) kind: String,
}

/// What runs there.
#[derive(Debug)]
pub(crate) struct Far {
    questions: Arc<Mutex<Vec<Question>>>,
    _nat64: Option<Translator>,
}

impl Far {
    /// Starts all of it on a host.
    pub(super) fn start(host: &Host, nat64: bool) -> Result<Self, Box<dyn std::error::Error>> {
        let questions = Arc::new(Mutex::new(Vec::new()));
        let prefix = prefix()?;
        let mut resolver = host.run(|| Listen::on(Policy::Both, 53).udp())?;
        let log = Arc::clone(&questions);
        let begun = Instant::now();
        host.thread(move || {
            let mut buffer = vec![0; 4096];
            while let Ok(received) = resolver.recv_from(&mut buffer) {
                let asked = buffer.get(..received.length).unwrap_or_default();
                if let Some(reply) = answer(asked, nat64.then_some(prefix), begun, &log) {
                    let _ = resolver.reply(&reply, &received);
                }
            }
        })?;
        for port in PORTS {
            let mut listeners = host.run(|| Listen::on(Policy::Both, port).tcp())?;
            host.thread(move || {
                while let Ok((stream, _)) = listeners.accept() {
                    let serve = move || drop(serve(stream, port));
                    let _ = thread::Builder::new().name("far".to_owned()).spawn(serve);
                }
            })?;
        }
        let translator = nat64.then(|| -> Result<_, Box<dyn std::error::Error>> {
            let setup = Setup {
                device: crate::nat64::DEVICE.to_owned(),
                prefix,
                pool: POOL.parse()?,
                address: prefix.address(),
                sessions: 65_536,
                queues: 1,
            };
            Ok(host.run(|| Translator::start(setup))?)
        });
        Ok(Self { questions, _nat64: translator.transpose()? })
    }

    /// What the resolver was asked so far.
    pub(crate) fn questions(&self) -> Vec<Question> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Behind it is IPv4, where there is a NAT64.
pub(super) fn prefix() -> Result<Prefix, String> {
    crate::nat64::prefix(NAT64)
}

/// Every name has both addresses, but `v4only.` and `v6only.` names, which have one, and `nowhere.`, which is none. Of
/// `eight.` names seven addresses of eight are dead.
fn addresses(name: &Name, kind: RecordType, nat64: Option<Prefix>) -> Option<Vec<RData>> {
    let text = name.to_lowercase().to_utf8();
    let first = text.split('.').next().unwrap_or_default().to_owned();
    if first == "nowhere" {
        return None;
    }
    let [v6, v4] = ADDRESSES.map(|address| address.split('/').next().unwrap_or_default());
    let (v6, v4): (AAAA, A) = (v6.parse().ok().map(AAAA)?, v4.parse().ok().map(A)?);
    let (has6, has4) = (first != "v4only", first != "v6only");
    Some(match kind {
        RecordType::A if has4 => vec![RData::A(v4)],
        RecordType::AAAA if has6 && first == "eight" => {
            let dead = (1..8_u16).map(|last| RData::AAAA(AAAA::new(0x2001, 0xdb8, 1, 0, 0, 0, 0xdead, last)));
            dead.chain([RData::AAAA(v6)]).collect()
        }
        RecordType::AAAA if has6 => vec![RData::AAAA(v6)],
        // DNS64 (RFC 6147): there is an IPv4 address alone.
        RecordType::AAAA if has4 => {
            nat64.iter().map(|prefix| RData::AAAA(AAAA(prefix.synthesise(v4.0)))).collect()
        }
        _ => Vec::new(),
    })
}

fn answer(
    asked: &[u8],
    nat64: Option<Prefix>,
    begun: Instant,
    log: &Mutex<Vec<Question>>,
) -> Option<Vec<u8>> {
    let query = Message::from_vec(asked).ok()?;
    let question = query.queries.first()?.clone();
    {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < QUESTIONS {
            let name = question.name().to_utf8().trim_end_matches('.').to_lowercase();
            log.push(Question { at: begun.elapsed(), name, kind: question.query_type().to_string() });
        }
    }
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    match addresses(question.name(), question.query_type(), nat64) {
        None => reply.metadata.response_code = ResponseCode::NXDomain,
        Some(all) => {
            for data in all {
                reply.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            }
        }
    }
    reply.add_query(question);
    reply.to_vec().ok()
}

/// Whether an address is the far side's own, and so one that its resolver gives.
pub(super) fn has(address: IpAddr) -> bool {
    ADDRESSES.iter().filter_map(|own| net(own).ok()).any(|own| own.contains(&address))
}

/// Whether there is a server at this address, be it by NAT64.
pub(super) fn serves(address: IpAddr, port: u16) -> bool {
    let translated = net(NAT64).is_ok_and(|prefix| prefix.contains(&address));
    (has(address) || translated) && PORTS.contains(&port)
}

/// Speaks first where the port's protocol does; answers HTTP; else holds the connection until the other side has had enough.
fn serve(mut stream: TcpStream, port: u16) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let greeting = match port {
        21 => "220 far\r\n",
        22 => "SSH-2.0-far\r\n",
        25 | 465 | 587 => "220 far ESMTP\r\n",
        110 | 995 => "+OK far\r\n",
        143 | 993 => "* OK far\r\n",
        _ => "",
    };
    stream.write_all(greeting.as_bytes())?;
    let mut asked = Vec::new();
    let mut buffer = [0; 2048];
    // A request's head; of what follows nothing is wanted.
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < 16_384 {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        asked.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let page = "<!doctype html><title>far</title><p>the far side\n";
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}
