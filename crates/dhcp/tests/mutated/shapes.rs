//! What was said, by its shape: of each a few, for tshark to read.

use crate::pcap::{COMPLAINTS, Datagram, dissect};
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Message, MessageType, OptionCode, Options, Packet, RelayMessage, TransactionId,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv6Addr;

/// Messages of one shape that tshark gets to read.
const OF_EACH: usize = 3;
/// Most shapes that are kept; many more than there are.
const MOST: usize = 50_000;

/// Which core said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    Server,
    Relay,
    Client,
    Leasequery,
}

/// All shapes so far.
#[derive(Default)]
pub(crate) struct Shapes {
    kept: BTreeMap<(Who, u64), Vec<Vec<u8>>>,
    pub(crate) said: u64,
}

/// Codes, in their order and in each other; of several alike in a row the first.
fn hash(options: Options<'_>, hasher: &mut DefaultHasher) {
    let mut before = None;
    for (code, content) in options.raw() {
        let mut inner = DefaultHasher::new();
        (code, content.is_empty()).hash(&mut inner);
        match DhcpOption::decode(code, content) {
            DhcpOption::IaNa(ia) => hash(ia.options, &mut inner),
            DhcpOption::IaPd(ia) => hash(ia.options, &mut inner),
            DhcpOption::IaAddress(address) => hash(address.options, &mut inner),
            DhcpOption::IaPrefix(prefix) => hash(prefix.options, &mut inner),
            DhcpOption::ClientData(data) => hash(data, &mut inner),
            DhcpOption::StatusCode(status) => status.code.hash(&mut inner),
            DhcpOption::RelayMessage(inside) => message(inside, &mut inner),
            _ => {}
        }
        let hash = inner.finish();
        if before.replace(hash) != Some(hash) {
            hash.hash(hasher);
        }
    }
}

fn message(bytes: &[u8], hasher: &mut DefaultHasher) {
    match Packet::parse(bytes) {
        Ok(Packet::Message(message)) => {
            message.kind().hash(hasher);
            hash(message.options(), hasher);
        }
        Ok(Packet::Relay(relay)) => {
            relay.kind().hash(hasher);
            hash(relay.options(), hasher);
        }
        Err(error) => panic!("{error}: {bytes:02x?}"),
    }
}

impl Shapes {
    /// Remembers what was said in its own words ([`own`]), if nothing like it was.
    pub(crate) fn note(&mut self, who: Who, bytes: &[u8]) {
        self.said += 1;
        let client = innermost(bytes).and_then(|message| message.options().get(OptionCode::CLIENT_ID));
        if client.is_some_and(is_cut_short) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        message(bytes, &mut hasher);
        let key = (who, hasher.finish());
        let room = self.kept.len() < MOST;
        if let Some(kept) = self.kept.get_mut(&key) {
            if kept.len() < OF_EACH {
                kept.push(bytes.to_vec());
            }
        } else if room {
            self.kept.insert(key, vec![bytes.to_vec()]);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// tshark reads them all and has nothing to say.
    pub(crate) fn assert_clean(&self) {
        assert!(self.kept.len() < MOST, "more shapes than are kept");
        let all: Vec<(Who, &[u8])> = (self.kept.iter())
            .flat_map(|((who, _), kept)| kept.iter().map(|bytes| (*who, bytes.as_slice())))
            .collect();
        let to: Ipv6Addr = "2001:db8:ff::1".parse().unwrap();
        let datagrams: Vec<Datagram<'_>> = (all.iter())
            .map(|(who, bytes)| {
                let ports = match (who, bytes[0]) {
                    (Who::Client, _) => (546, 547),
                    (_, 12..=15) => (547, 547),
                    _ => (547, 546),
                };
                Datagram { to, ports, bytes }
            })
            .collect();
        let lines = dissect(&datagrams, &COMPLAINTS);
        let mut wrong = Vec::new();
        for (line, (who, bytes)) in lines.iter().zip(&all) {
            let said = line[4].split(',').filter(|words| !words.is_empty() && !excused(*who, words));
            if line[1] != "1" || !line[2].is_empty() || said.count() > 0 {
                wrong.push(format!("{who:?} {line:?} {}", hex(bytes)));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            all.len(),
            wrong[..wrong.len().min(20)].join("\n")
        );
    }
}

/// What tshark says of every such message, and RFC 5007 says otherwise: section 4.1.2.4 takes the client's message out of what
/// its relay agent had sent, and section 4.1.2.2 lets requestors ask for any option.
fn excused(who: Who, words: &str) -> bool {
    let known = ["Trailing stray characters", "This message type is not permitted to use OPTION_CLIENT_FQDN"];
    who == Who::Leasequery && known.contains(&words)
}

/// Whether a DUID is shorter than its own type asks for. To servers it is opaque and goes back as it came (RFC 9915 section
/// 11); tshark looks inside.
fn is_cut_short(duid: &[u8]) -> bool {
    match duid {
        [0, 1, ..] => duid.len() < 9,
        [0, 2, ..] => duid.len() < 7,
        [0, 3, ..] => duid.len() < 5,
        [0, 4, ..] => duid.len() < 18,
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat()
}

/// What of a message is its sender's own word. A relay agent passes on what it did not write, malformed or not: in its place
/// stands something that is well-formed. A server gives relay agents back what they ask for as it came (RFC 4994 section 3),
/// and the hop counts that they sent, which tshark adds up.
pub(crate) fn own(who: Who, bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(relay) = RelayMessage::parse(bytes) else { return bytes.into() };
    let mut deep = 0;
    let mut next = relay.relayed();
    while let Some(Packet::Relay(inner)) = next {
        deep += 1;
        next = inner.relayed();
    }
    let hop_count = if who == Who::Relay { 0 } else { deep };
    let mut room = vec![0; bytes.len() + 64];
    let (link, peer) = (relay.link_address(), relay.peer_address());
    let mut b = Builder::relay(&mut room, relay.kind(), hop_count, link, peer);
    for (code, content) in relay.options().raw() {
        match code {
            OptionCode::RELAY_MSG if who == Who::Relay => {
                let mut room = [0; 16];
                let mut inside = Builder::message(&mut room, MessageType::SOLICIT, TransactionId::default());
                inside.elapsed_time(0);
                let inside = inside.finish().unwrap().to_vec();
                b.option(code, &inside);
            }
            OptionCode::RELAY_MSG => {
                b.option(code, &own(who, content));
            }
            OptionCode::INTERFACE_ID | OptionCode::RELAY_PORT => {
                b.option(code, content);
            }
            _ if who == Who::Relay => {
                b.option(code, content);
            }
            _ => {}
        }
    }
    Cow::Owned(b.finish().unwrap().to_vec())
}

/// Whether everything in it has the form that its code asks for.
pub(crate) fn assert_well_formed(bytes: &[u8]) {
    let mut packet = Packet::parse(bytes).unwrap_or_else(|error| panic!("{error}: {}", hex(bytes)));
    loop {
        match packet {
            Packet::Message(message) => {
                for option in message.options().iter() {
                    assert!(!matches!(option, DhcpOption::Malformed { .. }), "{option:?} in {}", hex(bytes));
                }
                return;
            }
            Packet::Relay(relay) => packet = relay.relayed().expect("a relayed reply holds a message"),
        }
    }
}

/// The client's message inside however many relay agents' ones.
pub(crate) fn innermost(bytes: &[u8]) -> Option<Message<'_>> {
    let mut packet = Packet::parse(bytes).ok()?;
    loop {
        match packet {
            Packet::Message(message) => return Some(message),
            Packet::Relay(relay) => packet = relay.relayed()?,
        }
    }
}
