//! Links, addresses, routes and neighbours: `NETLINK_ROUTE`, asked and answered synchronously.
//!
//! A [`Netlink`] belongs to the network namespace of the thread that made it, wherever it is used later.
//! Removing what is not there is no error: `Ok(false)`.

mod address;
mod link;
mod neighbour;
mod queue;
mod table;
mod traffic;
mod v4;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;

pub use address::{Address, AddressConfig, FOREVER, Scope};
pub use link::Link;
pub use neighbour::{Neighbour, NeighbourState};
pub use queue::{Cake, Class, FqCodel, Hosts, LinkLayer, Qdisc, TinStats};
pub use table::{Preference, Route, RouteKind, SIXGATE_PROTOCOL, TABLE_MAIN};
pub use traffic::{Packets, Redirect};
pub use v4::{AddressV4, RouteV4};

pub(crate) use address::address_of;
pub(crate) use link::link_of;
pub(crate) use neighbour::neighbour_of;
pub(crate) use table::routes_of;
pub(crate) use v4::{address_v4_of, routes_v4_of};

/// What is asked of the kernel and set in it here, but for `v4`.
const FAMILY: AddressFamily = AddressFamily::Inet6;

/// What netlink answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a request.
    #[error("cannot {what}: {source}{}{}", said(detail.as_deref()), remedy(*source))]
    Refused {
        /// The request, for a person.
        what: String,
        /// The kernel's error.
        source: Errno,
        /// What the kernel said about it (extended acknowledgement).
        detail: Option<String>,
    },
    /// The socket failed.
    #[error("cannot {what}: netlink: {source}")]
    Socket {
        /// The request, for a person.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// An answer that is not understood.
    #[error("cannot {what}: the kernel's answer is not understood: {detail}")]
    Answer {
        /// The request, for a person.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The tables changed under every one of several dumps.
    #[error("cannot {what}: the table changes faster than it can be read; try again")]
    Restless {
        /// The request, for a person.
        what: String,
    },
    /// An interface that is not there.
    #[error("there is no interface {0}; `ip link` lists those that exist")]
    NoInterface(String),
}

impl Error {
    /// The kernel's error number, where it refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { source, .. } => Some(*source),
            _ => None,
        }
    }
}

fn said(detail: Option<&str>) -> String {
    detail.map(|text| format!(" ({text})")).unwrap_or_default()
}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; run as root, or give this process CAP_NET_ADMIN",
        Errno::EOPNOTSUPP => "; this kernel lacks that kind of device or feature",
        Errno::EACCES => "; IPv6 may be disabled on this interface (disable_ipv6)",
        _ => "",
    }
}

/// How many bytes one read takes: the kernel fills at most 32 KiB for a dump.
const BUFFER: usize = 64 * 1024;
/// How often a dump is begun anew after the kernel says that the table changed meanwhile.
const ATTEMPTS: usize = 16;
/// Requests in one datagram: each may be refused, and the socket has room for so many answers.
const TOGETHER: usize = 64;
/// How long the kernel may take to answer. It answers at once; this bounds what a lost message costs.
const PATIENCE_S: i64 = 10;

/// A `NETLINK_ROUTE` socket for requests.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the network namespace of this thread, with extended acknowledgements and strict checks
    /// of what dumps ask for.
    pub fn new() -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Capped: an error repeats our header alone, so that the text begins at a known place.
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            socket.set_netlink_get_strict_chk(true)?;
            setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
            Ok(socket)
        };
        let socket =
            open().map_err(|source| Error::Socket { what: "open a netlink socket".to_owned(), source })?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends a request that changes something and waits for its acknowledgement.
    fn change(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: &dyn Fn() -> String,
    ) -> Result<(), Error> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, what).map(|_| ())
    }

    /// Sends requests that each change something, many in one datagram, of which the kernel acknowledges the last alone; what it
    /// refused, each with its number.
    ///
    /// # Errors
    /// [`Error`] where the socket fails: how many of the requests were done is then not known.
    fn change_many(
        &mut self,
        messages: &[(RouteNetlinkMessage, u16)],
        what: &dyn Fn(usize) -> String,
    ) -> Result<Vec<(usize, Error)>, Error> {
        let mut refused = Vec::new();
        for (number, some) in messages.chunks(TOGETHER).enumerate() {
            let first = number * TOGETHER;
            let name = || what(first);
            let socket_error = |source| Error::Socket { what: name(), source };
            let before = self.sequence;
            let mut bytes = Vec::with_capacity(some.len() * 128);
            for (place, (message, flags)) in some.iter().enumerate() {
                let last = if place + 1 == some.len() { NLM_F_ACK } else { 0 };
                let message = NetlinkPayload::InnerMessage(message.clone());
                let (at, mut request) = (bytes.len(), self.request(message, NLM_F_REQUEST | flags | last));
                request.finalize();
                // Messages begin at multiples of 4 (RFC 3549 section 2.3.2).
                bytes.resize(at + request.buffer_len().next_multiple_of(4), 0);
                request.serialize(bytes.get_mut(at..at + request.buffer_len()).unwrap_or_default());
            }
            self.socket.send(&bytes, 0).map_err(socket_error)?;
            // One that is refused is told of in any case.
            let mut answered = false;
            while !answered {
                self.receive().map_err(socket_error)?;
                for bytes in Messages(&self.buffer) {
                    let (_, _, sequence) = header_of(bytes);
                    let place = sequence.wrapping_sub(before).wrapping_sub(1) as usize;
                    if place >= some.len() {
                        continue;
                    }
                    answered |= place + 1 == some.len();
                    let answer = decode(bytes).map_err(|detail| Error::Answer { what: name(), detail })?;
                    if let NetlinkPayload::Error(ErrorMessage { code: Some(code), header, .. }) =
                        answer.payload
                    {
                        let text = header.get(16..).unwrap_or_default();
                        refused.push((first + place, said_no(what(first + place), code.get(), text)));
                    }
                }
            }
        }
        Ok(refused)
    }

    /// A request with the next number.
    fn request(
        &mut self,
        message: NetlinkPayload<RouteNetlinkMessage>,
        flags: u16,
    ) -> NetlinkMessage<RouteNetlinkMessage> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        NetlinkMessage::new(header, message)
    }

    /// As [`Self::change`], for a removal: errors that say "was not there" become `false`.
    fn remove(
        &mut self,
        message: RouteNetlinkMessage,
        absent: &[Errno],
        what: &dyn Fn() -> String,
    ) -> Result<bool, Error> {
        match self.change(message, 0, what) {
            Ok(()) => Ok(true),
            Err(Error::Refused { source, .. }) if absent.contains(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks for one object.
    fn get(
        &mut self,
        message: RouteNetlinkMessage,
        what: &dyn Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        Ok(self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, what)?.0)
    }

    /// Reads a whole table, anew while the kernel says that it changed meanwhile.
    fn dump(
        &mut self,
        message: &RouteNetlinkMessage,
        what: &dyn Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        for _ in 0..ATTEMPTS {
            let (answers, interrupted) = self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, what)?;
            if !interrupted {
                return Ok(answers);
            }
        }
        Err(Error::Restless { what: what() })
    }

    /// One request and all its answers; the flag tells that a dump was interrupted.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: &dyn Fn() -> String,
    ) -> Result<(Vec<RouteNetlinkMessage>, bool), Error> {
        let (answers, interrupted) = self.exchange_raw(message, flags, what)?;
        let mut decoded = Vec::with_capacity(answers.len());
        for answer in answers {
            let answer = decode(&answer).map_err(|detail| Error::Answer { what: what(), detail })?;
            if let NetlinkPayload::InnerMessage(inner) = answer.payload {
                decoded.push(inner);
            }
        }
        Ok((decoded, interrupted))
    }

    /// The kernel's next datagram, into the buffer.
    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Self::exchange`], the answers undecoded, each with its header.
    fn exchange_raw(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: &dyn Fn() -> String,
    ) -> Result<(Vec<Vec<u8>>, bool), Error> {
        /// The first type that is not netlink's own (`NLMSG_MIN_TYPE`).
        const FIRST: u16 = 16;
        let mut request = self.request(NetlinkPayload::InnerMessage(message), flags);
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        let socket_error = |source| Error::Socket { what: what(), source };
        self.socket.send(&bytes, 0).map_err(socket_error)?;

        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            self.receive().map_err(socket_error)?;
            for bytes in Messages(&self.buffer) {
                let (kind, flags, sequence) = header_of(bytes);
                if sequence != self.sequence {
                    // Left from a request that was given up.
                    continue;
                }
                interrupted |= flags & NLM_F_DUMP_INTR != 0;
                if kind >= FIRST {
                    answers.push(bytes.to_vec());
                    continue;
                }
                let answer = decode(bytes).map_err(|detail| Error::Answer { what: what(), detail })?;
                let refused = |code: i32, text: &[u8]| said_no(what(), code, text);
                match answer.payload {
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok((answers, interrupted)),
                            // After the code: our own header (16 bytes, capped), then attributes.
                            Some(code) => {
                                Err(refused(code.get(), error.header.get(16..).unwrap_or_default()))
                            }
                        };
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(refused(done.code, &done.extended_ack));
                    }
                    NetlinkPayload::Done(_) => return Ok((answers, interrupted)),
                    _ => {}
                }
            }
        }
    }
}

/// The kernel's refusal: its code, and the attributes behind it.
fn said_no(what: String, code: i32, attributes: &[u8]) -> Error {
    Error::Refused { what, source: Errno::from_raw(code.saturating_neg()), detail: extended_text(attributes) }
}

/// Type, flags and sequence number of a message (RFC 3549 section 2.3.2).
fn header_of(message: &[u8]) -> (u16, u16, u32) {
    match message {
        [_, _, _, _, k0, k1, f0, f1, s0, s1, s2, s3, ..] => (
            u16::from_ne_bytes([*k0, *k1]),
            u16::from_ne_bytes([*f0, *f1]),
            u32::from_ne_bytes([*s0, *s1, *s2, *s3]),
        ),
        _ => (0, 0, 0),
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Netlink {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The messages within one datagram, each cut to its own length (RFC 3549, section 2.3.2).
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        const HEADER: usize = 16;
        let length = u32::from_ne_bytes(self.0.get(..4)?.try_into().ok()?) as usize;
        if length < HEADER {
            return None;
        }
        let message = self.0.get(..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<NetlinkMessage<RouteNetlinkMessage>, String> {
    NetlinkMessage::deserialize(bytes).map_err(|error| error.to_string())
}

/// `NLMSGERR_ATTR_MSG` of an extended acknowledgement.
fn extended_text(mut attributes: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..length)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}
