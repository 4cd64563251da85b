//! What a DHCPv6 server that is asked for too much does not even want to read.

use std::io;

use super::filter::{self, Assembler, Go, RANDOM};
use super::udp::{UdpSocket6, take_together};

/// Octets of a UDP header: a program for a UDP socket sees it before the message.
const UDP: u32 = 8;
/// Octets of a relay agent's message before its options (RFC 9915 section 9).
const RELAY: u32 = 34;
/// Octets of an option before its value (RFC 9915 section 21.1).
const OPTION: u32 = 4;
/// Message types and the option of RFC 9915 sections 7.3 and 21.10.
const SOLICIT: u32 = 1;
const INFORMATION_REQUEST: u32 = 11;
const RELAY_FORWARD: u32 = 12;
const RELAY_MESSAGE: u32 = 9;
/// Options of a relay agent that are looked behind for its client's message.
const OPTIONS: usize = 3;

impl UdpSocket6 {
    /// Of the messages of DHCPv6 clients who ask for the first time (Solicit, Information-request, behind one relay agent too) lets
    /// the kernel drop this share, in thousandths, chosen by chance, before they are in the socket's buffer: that costs the server
    /// nothing, where reading costs it a part of what answering does. All other messages come as before. What waits already should
    /// have been read: datagrams that came together cannot be told apart any more once each is looked at by itself.
    ///
    /// # Errors
    /// What the kernel says of the program; what was set before is then still so.
    pub fn shed_first_requests(&self, share: u16) -> io::Result<()> {
        // The program sees the first of datagrams that come together, and would drop all for it.
        if share == 0 {
            filter::detach(self)?;
            if self.together { take_together(self, true) } else { Ok(()) }
        } else {
            if self.together {
                take_together(self, false)?;
            }
            filter::attach(self, &program(share.min(1000)))
        }
    }
}

/// Whether [`UdpSocket6::shed_first_requests`] looks at this message: what else a server takes for a first request (behind several
/// relay agents, say) it has to keep away itself, in the same share.
pub fn is_looked_at(message: &[u8]) -> bool {
    let first = |kind: Option<&u8>| {
        kind.is_some_and(|kind| [SOLICIT, INFORMATION_REQUEST].contains(&u32::from(*kind)))
    };
    if message.first().is_none_or(|kind| u32::from(*kind) != RELAY_FORWARD) {
        return first(message.first());
    }
    let mut rest = message.get(RELAY as usize..).unwrap_or_default();
    for _ in 0..OPTIONS {
        let Some(([c0, c1, l0, l1], behind)) = rest.split_first_chunk() else { return false };
        if u32::from(u16::from_be_bytes([*c0, *c1])) == RELAY_MESSAGE {
            return first(behind.first());
        }
        rest = behind.get(usize::from(u16::from_be_bytes([*l0, *l1]))..).unwrap_or_default();
    }
    false
}

fn program(share: u16) -> Vec<libc::sock_filter> {
    use Go::{Leave, Next, Take, To};
    const WHOLE: u32 = 1000;
    let (octet, half, word) = (libc::BPF_B, libc::BPF_H, libc::BPF_W);
    let mut a = Assembler::default();
    a.load(octet, UDP);
    a.if_equal(SOLICIT, To("draw"), Next);
    a.if_equal(INFORMATION_REQUEST, To("draw"), Next);
    a.if_equal(RELAY_FORWARD, Next, Take);
    // The index register: where an option begins, behind the header of the relay agent's message.
    let first = UDP + RELAY;
    for number in 0..OPTIONS {
        let (at, on) = if number == 0 { (first, false) } else { (0, true) };
        load(&mut a, half, at, on);
        let behind = if number + 1 < OPTIONS { Next } else { Take };
        a.if_equal(RELAY_MESSAGE, if on { To("inner") } else { To("first") }, behind);
        if number + 1 < OPTIONS {
            load(&mut a, half, at + 2, on);
            a.point(at + OPTION, on);
        }
    }
    a.label("first");
    a.load(octet, first + OPTION);
    a.if_equal(SOLICIT, To("draw"), Next);
    a.if_equal(INFORMATION_REQUEST, To("draw"), Take);
    a.label("inner");
    a.load_behind(octet, OPTION);
    a.if_equal(SOLICIT, To("draw"), Next);
    a.if_equal(INFORMATION_REQUEST, Next, Take);
    a.label("draw");
    a.load(word, RANDOM);
    // All is all but one in four thousand million.
    a.if_at_least(u32::MAX / WHOLE * u32::from(share), Take, Leave);
    a.finish(u32::MAX)
}

fn load(a: &mut Assembler, size: u32, at: u32, indexed: bool) {
    if indexed { a.load_behind(size, at) } else { a.load(size, at) }
}
