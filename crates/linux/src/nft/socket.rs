//! The socket to nf_tables. Netlink answers while it is asked: after a send, every reply is already queued.

use std::io;
use std::os::fd::AsRawFd as _;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};

use super::Error;
use super::encode::{Attributes, Batch, NFPROTO_INET, SUBSYSTEM, Step, flag, message};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Larger than any answer: dumps come in skbs of at most 32 KiB.
const RECEIVE: usize = 64 * 1024;

/// How often a listing that changed while it was read is read again.
const ATTEMPTS: usize = 10;

/// A socket of its own to the kernel's netfilter.
pub(super) struct Netlink {
    socket: Socket,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Netlink({})", self.socket.as_raw_fd())
    }
}

impl Netlink {
    pub(super) fn open() -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            // Connected to the kernel, it hears no other process.
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        open().map(|socket| Self { socket }).map_err(|source| Error::Socket { source })
    }

    /// Makes all changes of `batch`, or none.
    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), Error> {
        let (bytes, steps) = batch.finish();
        self.drain();
        // The kernel takes a batch only as one message. Where the larger buffer is not allowed, the default one
        // holds several hundred rules.
        let _ = setsockopt(&self.socket, sockopt::SndBufForce, &(bytes.len() * 2 + RECEIVE));
        // Each acknowledgement takes the space of a small skb, about 1 KiB.
        let _ = setsockopt(&self.socket, sockopt::RcvBufForce, &(steps.len() * 2048 + RECEIVE));
        let first = Step { name: format!("send {} bytes of rules", bytes.len()), modules: Vec::new() };
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty()).map_err(|e| refused(&first, e, None))?;
        let mut committed = false;
        while let Some(datagram) = self.receive("read the answer")? {
            for reply in messages(&datagram) {
                let Some(error) = Failure::parse(&reply) else { continue };
                let index = (reply.sequence as usize).saturating_sub(1);
                match (error.errno, steps.get(index)) {
                    (0, _) => committed |= index + 1 == steps.len(),
                    (errno, step) => {
                        let step = step.unwrap_or(&first);
                        return Err(refused(step, Errno::from_raw(errno), error.message));
                    }
                }
            }
        }
        if committed { Ok(()) } else { Err(Error::Answer { step: "commit the transaction".into() }) }
    }

    /// Lists what `kind` asks for.
    pub(super) fn dump(
        &mut self,
        kind: u8,
        attributes: &Attributes,
        name: &str,
    ) -> Result<Vec<Reply>, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(replies) = self.dump_once(kind, attributes, name)? {
                return Ok(replies);
            }
        }
        Err(Error::Answer { step: name.to_owned() })
    }

    /// `None` when the rules changed meanwhile.
    fn dump_once(
        &mut self,
        kind: u8,
        attributes: &Attributes,
        name: &str,
    ) -> Result<Option<Vec<Reply>>, Error> {
        let step = Step { name: name.to_owned(), modules: Vec::new() };
        let mut request = Vec::new();
        message(&mut request, kind, NFPROTO_INET, flag::DUMP, 1, attributes);
        self.drain();
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty()).map_err(|e| refused(&step, e, None))?;
        let mut replies = Vec::new();
        let mut whole = true;
        while let Some(datagram) = self.receive(name)? {
            for reply in messages(&datagram) {
                whole &= reply.flags & NLM_F_DUMP_INTR == 0;
                match reply.kind {
                    // Its body is an error number, zero or one that ended the listing early.
                    NLMSG_DONE => {
                        let errno =
                            reply.body.get(..4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_ne_bytes);
                        return match errno {
                            0 => Ok(whole.then_some(replies)),
                            errno => absent(&step, -errno, None),
                        };
                    }
                    NLMSG_ERROR => {
                        if let Some(error) = Failure::parse(&reply).filter(|error| error.errno != 0) {
                            return absent(&step, error.errno, error.message);
                        }
                    }
                    kind if kind >> 8 == u16::from(SUBSYSTEM) => replies.extend(reply.attributes()),
                    _ => {}
                }
            }
        }
        Err(Error::Answer { step: step.name })
    }

    /// One datagram, or `None` when nothing more is queued.
    fn receive(&self, step: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = vec![0; RECEIVE];
        loop {
            return match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    buffer.truncate(length);
                    Ok(Some(buffer))
                }
                Err(Errno::EAGAIN) => Ok(None),
                Err(Errno::EINTR) => continue,
                Err(e) => Err(refused(&Step { name: step.to_owned(), modules: Vec::new() }, e, None)),
            };
        }
    }

    /// Throws away what an earlier, failed exchange left.
    fn drain(&self) {
        let mut buffer = [0; 64];
        while let Ok(1..) | Err(Errno::EINTR | Errno::ENOBUFS) =
            recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)
        {}
    }
}

/// A listing of a table that is not there is empty.
fn absent(step: &Step, errno: i32, message: Option<String>) -> Result<Option<Vec<Reply>>, Error> {
    match Errno::from_raw(errno) {
        Errno::ENOENT => Ok(Some(Vec::new())),
        Errno::EINTR => Ok(None),
        errno => Err(refused(step, errno, message)),
    }
}

/// The error that a person can act on.
fn refused(step: &Step, errno: Errno, message: Option<String>) -> Error {
    let name = step.name.clone();
    match errno {
        Errno::EPERM | Errno::EACCES => Error::Permission { step: name },
        Errno::EOPNOTSUPP | Errno::ENOENT | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => {
            let modules = if step.modules.is_empty() {
                "nf_tables, nf_tables_inet".to_owned()
            } else {
                step.modules.join(", ")
            };
            Error::Unsupported { step: name, modules, detail: detail(errno, message) }
        }
        errno => Error::Refused { step: name, detail: detail(errno, message) },
    }
}

fn detail(errno: Errno, message: Option<String>) -> String {
    match message {
        Some(message) => format!("{} ({message})", errno.desc()),
        None => errno.desc().to_owned(),
    }
}

/// One message of the kernel.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// What follows `nfgenmsg`.
    fn attributes(&self) -> Option<Reply> {
        self.body.get(4..).map(Reply::parse)
    }
}

/// Cuts a datagram into messages; stops at the first that does not fit.
fn messages(mut rest: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    while let Some((header, _)) = rest.split_first_chunk::<16>() {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let Some(body) = rest.get(16..length) else { break };
        messages.push(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body,
        });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// An `NLMSG_ERROR`: zero is the acknowledgement.
struct Failure {
    /// Positive, as in `errno.h`.
    errno: i32,
    /// The extended acknowledgement's text.
    message: Option<String>,
}

impl Failure {
    fn parse(reply: &Message<'_>) -> Option<Self> {
        if reply.kind != NLMSG_ERROR {
            return None;
        }
        let (code, rest) = reply.body.split_first_chunk::<4>()?;
        // The request's header follows, the request itself only if the answer is not capped.
        let request =
            rest.split_first_chunk::<4>().map_or(16, |(length, _)| u32::from_ne_bytes(*length) as usize);
        let skip = if reply.flags & NLM_F_CAPPED == 0 { request.max(16) } else { 16 };
        let message = (reply.flags & NLM_F_ACK_TLVS != 0)
            .then(|| rest.get(skip.next_multiple_of(4)..))
            .flatten()
            .and_then(|attributes| Reply::parse(attributes).string(NLMSGERR_ATTR_MSG));
        Some(Self { errno: i32::from_ne_bytes(*code).saturating_neg(), message })
    }
}

/// Attributes that the kernel sent.
#[derive(Debug)]
pub(super) struct Reply(Vec<(u16, Vec<u8>)>);

impl Reply {
    /// Reads attributes up to the first that does not fit.
    fn parse(mut rest: &[u8]) -> Self {
        let mut attributes = Vec::new();
        while let Some(([l0, l1, k0, k1], _)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
            // The two upper bits say "nested" and "network order".
            let kind = u16::from_ne_bytes([*k0, *k1]) & 0x3fff;
            let Some(value) = rest.get(4..length) else { break };
            attributes.push((kind, value.to_vec()));
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Self(attributes)
    }

    fn get(&self, kind: u16) -> Option<&[u8]> {
        self.0.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    /// A string without its terminating zero.
    pub(super) fn string(&self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let text = value.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    pub(super) fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&self, kind: u16) -> Option<u64> {
        self.get(kind)?.try_into().ok().map(u64::from_be_bytes)
    }

    pub(super) fn nested(&self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self::parse)
    }
}
