//! Options that relay agents supply for their clients (RFC 6422).
//!
//! An agent may know what the server does not, such as the domain at which its clients authenticate. It puts that into the
//! Relay-Supplied Options option, and the server takes it into the answer as if it were its own: where the client asks for
//! it, and the server has nothing of its own to say.

use super::message::Asked;
use super::relayed::Chain;
use super::{Server, add};
use crate::options::describe_as;
use sixgate_wire::dhcpv6::{Builder, Definition, Message, MessageType, OptionCode, Options, TransactionId};

/// What may be supplied where nobody says otherwise: what IANA's registry "Options Permitted in the Relay-Supplied Options
/// Option" has (November 2026).
pub const ENABLED: [OptionCode; 1] = [OptionCode::ERP_LOCAL_DOMAIN_NAME];

/// Most octets that are taken from one agent into one answer, headers included.
const MOST: usize = 2_048;

impl Server {
    /// Which options relay agents may supply, in place of [`ENABLED`]. Only options that configure hosts, which are those
    /// that [`Definition`] knows, are ever taken.
    pub fn set_relay_supplied(&mut self, codes: impl IntoIterator<Item = OptionCode>) {
        self.directory.supplied = codes.into_iter().collect();
    }

    /// Adds to an answer what agents supply. Of several the one nearest to the client counts, since it knows it best; what
    /// is not of the form that its code asks for is left out: it would be the server's word.
    pub(super) fn add_supplied(&mut self, chain: &Chain<'_>, asked: &Asked<'_>, bytes: &mut Vec<u8>) {
        for hop in chain.hops.iter().rev() {
            let Some(Ok(supplied)) = hop.options().get(OptionCode::RSOO).map(Options::parse) else {
                continue;
            };
            let Ok(answer) = Message::parse(bytes) else { return };
            let mut room = [0; MOST];
            let mut b = Builder::message(&mut room, MessageType::REPLY, TransactionId::default());
            for (code, content) in supplied.raw() {
                if !self.may_supply(code, content, asked) {
                    add(&mut self.counters.supplied_refused);
                } else if asked.message.options().requests(code) && answer.options().get(code).is_none() {
                    b.option(code, content);
                }
            }
            // Options alone: the answer has its header.
            match b.finish().map(|written| written.get(4..).unwrap_or_default()) {
                Ok([]) => {}
                Ok(written) => {
                    add(&mut self.counters.supplied);
                    bytes.extend(written);
                }
                Err(_) => add(&mut self.counters.supplied_refused),
            }
        }
    }

    /// Whether an agent may say this at all.
    fn may_supply(&self, code: OptionCode, content: &[u8], asked: &Asked<'_>) -> bool {
        let informing = asked.kind == MessageType::INFORMATION_REQUEST;
        let well_formed = |known: &Definition| describe_as(code, known.shape, content).is_some();
        self.directory.supplied.contains(&code)
            // RFC 9915 section 21.23.
            && (informing || code != OptionCode::INFORMATION_REFRESH_TIME)
            && Definition::of(code).is_some_and(well_formed)
    }
}
