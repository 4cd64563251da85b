//! The short way: a question that was answered from the cache before is answered again without being decoded.

use core::time::Duration;

use hickory_proto::op::ResponseCode;

use super::Forwarder;
use crate::question::Asked;
use crate::reply::{self, Age};
use crate::scan::{Scan, TYPE_AND_CLASS, scan};
use crate::{Client, Names};

/// Longest key: a question, and the octet for DO and CD.
const MAX_KEY: usize = 255 + TYPE_AND_CLASS + 1;

impl<P: Clone + PartialEq> Forwarder<P> {
    /// The reply, where the entry of this very question says that it is the whole answer.
    ///
    /// An entry says so once the long way has answered from it ([`Entry::direct`](crate::cache::Entry)): then no
    /// local name, no rule of DNS64 and no refusal came before the cache for this key, and as the key has all that
    /// they look at, none does until the zones of [`Names`] or the rules change.
    pub(super) fn hit(
        &mut self,
        now: Duration,
        client: &Client<P>,
        bytes: &[u8],
        names: &Names,
    ) -> Option<Vec<u8>> {
        let scan = scan(bytes).filter(|scan| scan.recursion_desired)?;
        let mut room = [0; MAX_KEY];
        let entry = self.cache.get(key(&scan, &mut room)?)?;
        if now >= entry.expires
            || entry.direct != Some(names.zones())
            || entry.answer.code == ResponseCode::ServFail
        {
            return None;
        }
        let age = u32::try_from(now.saturating_sub(entry.stored).as_secs()).unwrap_or(u32::MAX);
        let asked = Asked {
            id: scan.id,
            opcode: 0,
            recursion_desired: true,
            authentic_data: scan.authentic_data,
            checking_disabled: scan.checking_disabled,
            edns: scan.edns,
            // Told beside it: nothing is copied twice.
            question: Vec::new(),
        };
        let age = Age::Seconds(age);
        let reply = reply::reply(client, &asked, scan.question, &entry.answer, age, None, &self.config);
        self.counters.hits += 1;
        self.counters.truncated += u64::from(reply.truncated);
        Some(reply.bytes)
    }
}

/// The same as [`lookup::key`](crate::lookup::key), in `room`.
fn key<'a>(scan: &Scan<'_>, room: &'a mut [u8; MAX_KEY]) -> Option<&'a [u8]> {
    let length = scan.question.len();
    let (question, rest) = room.split_at_mut_checked(length)?;
    question.copy_from_slice(scan.question);
    question.get_mut(..length.checked_sub(TYPE_AND_CLASS)?)?.make_ascii_lowercase();
    let dnssec_ok = scan.edns.is_some_and(|edns| edns.dnssec_ok);
    *rest.first_mut()? = u8::from(dnssec_ok) | u8::from(scan.checking_disabled) << 1;
    room.get(..=length)
}
