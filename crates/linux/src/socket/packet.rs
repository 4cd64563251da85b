//! `recvmsg`, `recvmmsg`, `sendmsg` and `sendmmsg` with the control messages of RFC 3542.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// An address as the kernel takes it.
pub(super) type Name = libc::sockaddr_in6;
/// Its length, 28.
pub(super) const SOCKADDR_LEN: libc::socklen_t = mem::size_of::<Name>() as libc::socklen_t;
/// How many datagrams one call reads or sends at most.
const BATCH: usize = 32;

/// A datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer.
    pub len: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// Who sent it; the scope is the interface, for link-local addresses.
    pub source: SocketAddrV6,
    /// The address it was sent to, unicast or multicast.
    pub destination: Ipv6Addr,
    /// Number of the interface it came in by.
    pub interface: u32,
    /// Its hop limit, where the socket asks for it (ICMPv6): Neighbour Discovery requires 255 (RFC 4861).
    pub hop_limit: Option<u8>,
    /// How long it has waited here to be read, where the socket asks for it.
    pub waited: Option<Duration>,
    /// It is several datagrams on one way, one behind the other: the octets of each, but for the last, which may be shorter.
    pub segment: Option<usize>,
}

/// Room for one datagram of a batch.
#[derive(Debug)]
pub struct Slot {
    /// Where the bytes go.
    pub buffer: Vec<u8>,
    /// What is known of the datagram, after a batch was received into this slot.
    pub received: Option<Received>,
}

impl Slot {
    /// Room for a datagram of so many bytes.
    pub fn new(size: usize) -> Self {
        Self { buffer: vec![0; size], received: None }
    }

    /// The datagrams that are here: more than one where the socket takes them together.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], &Received)> {
        let whole = self.datagram();
        // One without octets is one.
        let alone = whole.filter(|(bytes, _)| bytes.is_empty());
        let each = whole.into_iter().flat_map(|(bytes, received)| {
            let segment = received.segment.filter(|segment| *segment > 0).unwrap_or(received.len.max(1));
            bytes.chunks(segment).map(move |bytes| (bytes, received))
        });
        alone.into_iter().chain(each)
    }

    /// The datagram, if one is here; of several all octets.
    pub fn datagram(&self) -> Option<(&[u8], &Received)> {
        let received = self.received.as_ref()?;
        Some((self.buffer.get(..received.len)?, received))
    }
}

/// Control messages, aligned as `cmsghdr` wants: room for IPV6_PKTINFO (40) and IPV6_HOPLIMIT (24), and more.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 128]);

pub(super) fn sockaddr(address: SocketAddrV6) -> Name {
    Name {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: address.flowinfo().to_be(),
        sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
        sin6_scope_id: address.scope_id(),
    }
}

/// All zero: a message without name, data, or control messages.
fn empty() -> libc::msghdr {
    // SAFETY: `msghdr` is plain data of integers and pointers, for which zero is a valid value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn no_name() -> Name {
    sockaddr(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0))
}

pub(super) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let (mut name, mut control) = (no_name(), Control([0; 128]));
    let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = empty();
    prepare(&mut message, &mut name, &mut data, &mut control);
    // SAFETY: all that `message` points to lives on this stack frame (and `buffer` beyond it), with true lengths.
    let length = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    Ok(received(&message, &name, &control, length))
}

/// Reads at most 32 datagrams in one call; the first slots hold them, the others are emptied.
pub(super) fn recv_batch(fd: BorrowedFd<'_>, slots: &mut [Slot]) -> io::Result<usize> {
    for slot in slots.iter_mut() {
        slot.received = None;
    }
    let count = slots.len().min(BATCH);
    let mut names = [no_name(); BATCH];
    let mut controls = [Control([0; 128]); BATCH];
    let mut data = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut messages = [libc::mmsghdr { msg_hdr: empty(), msg_len: 0 }; BATCH];
    for (index, slot) in slots.iter_mut().take(count).enumerate() {
        data[index] = libc::iovec { iov_base: slot.buffer.as_mut_ptr().cast(), iov_len: slot.buffer.len() };
        prepare(&mut messages[index].msg_hdr, &mut names[index], &mut data[index], &mut controls[index]);
    }
    // SAFETY: the first `count` messages point to arrays of this stack frame and to the slots' buffers, all alive
    // and with true lengths; no timeout is given.
    let read = unsafe {
        libc::recvmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0, ptr::null_mut())
    };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    let filled = slots.iter_mut().zip(&messages).zip(names.iter().zip(&controls)).take(read);
    for ((slot, message), (name, control)) in filled {
        slot.received = Some(received(&message.msg_hdr, name, control, message.msg_len as usize));
    }
    Ok(read)
}

fn prepare(message: &mut libc::msghdr, name: &mut Name, data: &mut libc::iovec, control: &mut Control) {
    message.msg_name = ptr::from_mut(name).cast();
    message.msg_namelen = SOCKADDR_LEN;
    message.msg_iov = data;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(control).cast();
    // The type differs between C libraries.
    message.msg_controllen = mem::size_of::<Control>() as _;
}

fn received(message: &libc::msghdr, name: &Name, control: &Control, length: usize) -> Received {
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    let mut received = Received {
        len: length,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        source: SocketAddrV6::new(address, u16::from_be(name.sin6_port), 0, name.sin6_scope_id),
        destination: Ipv6Addr::UNSPECIFIED,
        interface: 0,
        hop_limit: None,
        waited: None,
        segment: None,
    };
    // `usize` with one C library, `u32` with another.
    #[allow(clippy::unnecessary_cast)]
    let filled = (message.msg_controllen as usize).min(control.0.len());
    for (level, kind, value) in ControlMessages(control.0.get(..filled).unwrap_or_default()) {
        match (level, kind) {
            // `struct in6_pktinfo`: the address, then the interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let Some((octets, index)) = value.split_first_chunk::<16>() {
                    received.destination = Ipv6Addr::from(*octets);
                    received.interface = index.first_chunk().map_or(0, |index| u32::from_ne_bytes(*index));
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                let limit = value.first_chunk().map(|limit| i32::from_ne_bytes(*limit));
                received.hop_limit = limit.and_then(|limit| u8::try_from(limit).ok());
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => received.waited = waited(value),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let length = value.first_chunk().map(|length| i32::from_ne_bytes(*length));
                received.segment = length.and_then(|length| usize::try_from(length).ok());
            }
            _ => {}
        }
    }
    received
}

/// How long ago a `struct timespec` of the wall clock was; `None` where that was set meanwhile, as far as can be told.
fn waited(value: &[u8]) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_mins(1);
    let (seconds, rest) = value.split_first_chunk::<8>()?;
    let nanoseconds = i64::from_ne_bytes(*rest.first_chunk::<8>()?);
    let came = Duration::new(u64::from_ne_bytes(*seconds), u32::try_from(nanoseconds).ok()?);
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).ok()?;
    now.checked_sub(came).filter(|waited| *waited < LONGEST)
}

/// Bytes of `cmsghdr`, already a multiple of its alignment.
const CMSG_HEADER: usize = mem::size_of::<libc::cmsghdr>();

/// The control messages, read as bytes: length (`size_t`), level, type, value, padding.
struct ControlMessages<'a>(&'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = (libc::c_int, libc::c_int, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from_ne_bytes(*self.0.first_chunk()?);
        let level = i32::from_ne_bytes(self.0.get(CMSG_HEADER - 8..CMSG_HEADER - 4)?.try_into().ok()?);
        let kind = i32::from_ne_bytes(self.0.get(CMSG_HEADER - 4..CMSG_HEADER)?.try_into().ok()?);
        let value = self.0.get(CMSG_HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(mem::size_of::<usize>())..).unwrap_or_default();
        Some((level, kind, value))
    }
}

/// A datagram to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Its payload.
    pub bytes: &'a [u8],
    /// To whom.
    pub to: SocketAddrV6,
    /// By choice from this address and out of the interface of this number; `::` and 0 leave either to the kernel.
    pub from: Option<(Ipv6Addr, u32)>,
}

/// Sends one datagram.
pub(super) fn send(fd: BorrowedFd<'_>, datagram: &Outgoing<'_>) -> io::Result<()> {
    let mut name = sockaddr(datagram.to);
    let mut data = readable(datagram.bytes);
    let mut control = Control([0; 128]);
    let mut message = empty();
    prepare(&mut message, &mut name, &mut data, &mut control);
    depart(&mut message, &mut control, datagram.from);
    // SAFETY: all that `message` points to lives on this stack frame or in `bytes`, with true lengths; the kernel
    // only reads it.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends at most 32 datagrams in one call, in order, and tells how many it took; an error is about the first. Those that
/// follow each other on one way with one length pass the kernel as one, which cuts it at the end (`UDP_SEGMENT`).
pub(super) fn send_batch(fd: BorrowedFd<'_>, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    match send_runs(fd, datagrams, BATCH) {
        // The interface cannot, or has too small an MTU: one by one then.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE)) => {
            send_runs(fd, datagrams, 1)
        }
        sent => sent,
    }
}

/// The same, each by itself: a capture on this machine shows every one of them.
pub(super) fn send_apart(fd: BorrowedFd<'_>, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    send_runs(fd, datagrams, 1)
}

/// How many datagrams from the first on can pass as one: all of one length, but for the last, which may be shorter.
fn run(datagrams: &[Outgoing<'_>], most: usize) -> usize {
    let Some((first, rest)) = datagrams.split_first() else { return 0 };
    let mut count = 1;
    for next in rest.iter().take(most.saturating_sub(1)) {
        let alike = (next.to, next.from) == (first.to, first.from);
        if !alike || next.bytes.is_empty() || next.bytes.len() > first.bytes.len() {
            break;
        }
        count += 1;
        if next.bytes.len() < first.bytes.len() {
            break;
        }
    }
    count
}

fn send_runs(fd: BorrowedFd<'_>, datagrams: &[Outgoing<'_>], longest: usize) -> io::Result<usize> {
    let datagrams = &datagrams[..datagrams.len().min(BATCH)];
    let mut names = [no_name(); BATCH];
    let mut controls = [Control([0; 128]); BATCH];
    let mut data = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut messages = [libc::mmsghdr { msg_hdr: empty(), msg_len: 0 }; BATCH];
    let mut runs = [0; BATCH];
    for (place, datagram) in data.iter_mut().zip(datagrams) {
        *place = readable(datagram.bytes);
    }
    let (mut at, mut count) = (0, 0);
    while let Some(first) = datagrams.get(at) {
        let length = run(&datagrams[at..], longest);
        names[count] = sockaddr(first.to);
        let message = &mut messages[count].msg_hdr;
        prepare(message, &mut names[count], &mut data[at], &mut controls[count]);
        message.msg_iovlen = length as _;
        depart(message, &mut controls[count], first.from);
        if length > 1 {
            // Shorter than 64 KiB, or the kernel would not take it alone either.
            segment(message, &mut controls[count], first.bytes.len() as u16);
        }
        runs[count] = length;
        (at, count) = (at + length, count + 1);
    }
    // SAFETY: the first `count` messages point to arrays of this stack frame and to the datagrams' bytes, all alive
    // and with true lengths (each has as many elements of `data` as its run is long); the kernel writes to `messages`
    // alone, how many octets of each went.
    let sent = unsafe {
        libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, libc::MSG_NOSIGNAL)
    };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok(runs.iter().take(sent).sum())
}

/// The kernel reads from it and never writes.
fn readable(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Says where a message leaves from.
fn depart(message: &mut libc::msghdr, control: &mut Control, from: Option<(Ipv6Addr, u32)>) {
    message.msg_controllen = 0;
    if let Some((address, interface)) = from {
        // `struct in6_pktinfo`: the address, then the interface.
        let mut value = [0; 20];
        value[..16].copy_from_slice(&address.octets());
        value[16..].copy_from_slice(&interface.to_ne_bytes());
        tell(message, control, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), &value);
    } else {
        message.msg_control = ptr::null_mut();
    }
}

/// Says that a message is cut into datagrams of this length.
fn segment(message: &mut libc::msghdr, control: &mut Control, length: u16) {
    message.msg_control = ptr::from_mut(control).cast();
    tell(message, control, (libc::SOL_UDP, libc::UDP_SEGMENT), &length.to_ne_bytes());
}

/// Adds a control message: length (`size_t`), level, type, value, padding.
fn tell(message: &mut libc::msghdr, control: &mut Control, what: (libc::c_int, libc::c_int), value: &[u8]) {
    // `usize` with one C library, `u32` with another.
    #[allow(clippy::unnecessary_cast)]
    let at = message.msg_controllen as usize;
    let place = &mut control.0[at..];
    let length = CMSG_HEADER + value.len();
    place[..mem::size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
    place[CMSG_HEADER - 8..CMSG_HEADER - 4].copy_from_slice(&what.0.to_ne_bytes());
    place[CMSG_HEADER - 4..CMSG_HEADER].copy_from_slice(&what.1.to_ne_bytes());
    place[CMSG_HEADER..length].copy_from_slice(value);
    message.msg_controllen = (at + length.next_multiple_of(mem::size_of::<usize>())) as _;
}
