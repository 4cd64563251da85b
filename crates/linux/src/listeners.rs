//! What was asked for is verified: is the socket in the kernel's table, and whose is it?

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::{fmt, fs, io};

use nix::sys::stat::fstat;

/// Which of the kernel's socket tables: of IPv6, but for [`Protocol::Packet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// UDP, bound sockets.
    Udp,
    /// TCP, listening sockets only.
    Tcp,
    /// Raw sockets; the port is the protocol number, 58 for ICMPv6.
    Raw,
    /// Packet sockets (packet(7)), which have neither address nor port: both are zero.
    Packet,
}

impl Protocol {
    /// `proc_pid_net(5)`. `thread-self`, since a thread may have a network namespace of its own.
    fn path(self) -> &'static str {
        match self {
            Self::Udp => "/proc/thread-self/net/udp6",
            Self::Tcp => "/proc/thread-self/net/tcp6",
            Self::Raw => "/proc/thread-self/net/raw6",
            Self::Packet => "/proc/thread-self/net/packet",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Raw => "raw",
            Self::Packet => "packet",
        })
    }
}

/// A listener that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its table.
    pub protocol: Protocol,
    /// The address it is bound to.
    pub address: Ipv6Addr,
    /// The port, or for [`Protocol::Raw`] the protocol number.
    pub port: u16,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]:{}", self.protocol, self.address, self.port)
    }
}

/// One line of the kernel's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its table.
    pub protocol: Protocol,
    /// Local address.
    pub address: Ipv6Addr,
    /// Local port, or for [`Protocol::Raw`] the protocol number.
    pub port: u16,
    /// User who made it.
    pub uid: u32,
    /// Its inode, which is also what `/proc/PID/fd` shows.
    pub inode: u64,
}

/// Why the listeners are not as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some are missing.
    #[error(
        "the kernel does not list {}; the port was asked for but nothing listens there",
        missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// Which.
        missing: Vec<Expected>,
    },
    /// The socket is not in its table.
    #[error(
        "the kernel does not list {protocol} socket {inode}; it is not bound, or of another network namespace"
    )]
    NotListed {
        /// The table searched.
        protocol: Protocol,
        /// Inode of the socket.
        inode: u64,
    },
    /// The table cannot be read.
    #[error("cannot read {path}: {source}; is /proc mounted, and does this kernel have IPv6?")]
    Read {
        /// The table's file.
        path: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// A socket of either family that takes what comes: TCP that listens, UDP that is bound and not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound {
    /// Local address.
    pub address: IpAddr,
    /// Local port.
    pub port: u16,
    /// Its inode, which is also what `/proc/PID/fd` shows.
    pub inode: u64,
}

/// Reads a table of the calling thread's network namespace.
///
/// # Errors
/// Where it cannot be read.
pub fn table(protocol: Protocol) -> Result<Vec<Entry>, Error> {
    let path = protocol.path();
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path, source })?;
    let lines = text.lines().skip(1);
    if protocol == Protocol::Packet {
        return Ok(lines.filter_map(parse_packet).collect());
    }
    let wanted = |line: &Line| protocol != Protocol::Tcp || line.state == LISTEN;
    let entry = |line: Line| {
        let Line { octets, port, uid, inode, .. } = line;
        Entry { protocol, address: octets.into(), port, uid, inode }
    };
    Ok(lines.filter_map(Line::parse).filter(wanted).map(entry).collect())
}

/// The sockets of both families that take what comes, in the calling thread's network namespace. A family that the kernel
/// lacks has none.
pub fn bound(protocol: Protocol) -> Vec<Bound> {
    let mut all: Vec<Bound> = lines(protocol)
        .map(|line| Bound { address: line.address(), port: line.port, inode: line.inode })
        .collect();
    all.sort_unstable();
    all
}

fn lines(protocol: Protocol) -> impl Iterator<Item = Line> {
    let state = if protocol == Protocol::Tcp { LISTEN } else { UNCONNECTED };
    let paths = [Some(protocol.path()), protocol.path().strip_suffix('6')].into_iter().flatten();
    paths
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(Line::parse).collect::<Vec<_>>())
        .filter(move |line| line.state == state)
}

/// `TCP_LISTEN` and `TCP_CLOSE` of the kernel's `tcp_states.h`; of UDP and raw sockets the latter is one without a peer.
const LISTEN: u8 = 0x0a;
const UNCONNECTED: u8 = 0x07;

/// A line of the tables of TCP, UDP and raw sockets, of either family.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Of an IPv4 address, the first four.
    octets: [u8; 16],
    /// Its table is IPv4's.
    short: bool,
    port: u16,
    state: u8,
    uid: u32,
    inode: u64,
}

impl Line {
    /// `sl local remote state tx:rx tr:when retrnsmt uid timeout inode ...`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().skip(1);
        // ipv6-audit: allow colon-split because the kernel writes the address in hexadecimal, without colons
        let (address, port) = words.next()?.split_once(':')?;
        let state = u8::from_str_radix(words.nth(1)?, 16).ok()?;
        let uid = words.nth(3)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        let mut octets = [0; 16];
        for (index, chunk) in octets.chunks_exact_mut(4).take(address.len() / 8).enumerate() {
            // Words, each printed as a number of the machine's byte order.
            let word = u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?;
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        let short = match address.len() {
            32 => false,
            8 => true,
            _ => return None,
        };
        Some(Self { octets, short, port: u16::from_str_radix(port, 16).ok()?, state, uid, inode })
    }

    fn address(&self) -> IpAddr {
        let [a, b, c, d, ..] = self.octets;
        if self.short { [a, b, c, d].into() } else { self.octets.into() }
    }
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`.
fn parse_packet(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace().skip(7);
    let (uid, inode) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Entry { protocol: Protocol::Packet, address: Ipv6Addr::UNSPECIFIED, port: 0, uid, inode })
}

/// Finds all expected listeners, in their order, or names all that are missing.
pub fn verify(expected: &[Expected]) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::with_capacity(expected.len());
    let mut missing = Vec::new();
    let mut tables: Vec<(Protocol, Vec<Entry>)> = Vec::new();
    for wanted in expected {
        if !tables.iter().any(|(protocol, _)| *protocol == wanted.protocol) {
            tables.push((wanted.protocol, table(wanted.protocol)?));
        }
        let entry = tables
            .iter()
            .filter(|(protocol, _)| *protocol == wanted.protocol)
            .flat_map(|(_, entries)| entries)
            .find(|entry| entry.address == wanted.address && entry.port == wanted.port);
        match entry {
            Some(entry) => found.push(*entry),
            None => missing.push(*wanted),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Error::Missing { missing }) }
}

/// Finds this very socket.
pub fn verify_socket(socket: impl AsFd, protocol: Protocol) -> Result<Entry, Error> {
    let path = protocol.path();
    let inode = fstat(socket).map_err(|errno| Error::Read { path, source: errno.into() })?.st_ino;
    let entry = table(protocol)?.into_iter().find(|entry| entry.inode == inode);
    entry.ok_or(Error::NotListed { protocol, inode })
}

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name (`comm`, at most 15 bytes).
    pub comm: String,
}

/// The process that holds the socket of this inode, if `/proc` lets us see it.
pub fn owner(inode: u64) -> Option<Owner> {
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Processes end while we look, and those of others are closed to us.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors
            .filter_map(Result::ok)
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| target.as_os_str() == wanted.as_str());
        if holds {
            let comm = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Owner { pid, comm: comm.trim().to_owned() });
        }
    }
    None
}

/// Who keeps a port busy for a socket that wants `address` and `port`: same address, or either unspecified.
pub(crate) fn occupant(protocol: Protocol, address: Ipv6Addr, port: u16) -> Option<Owner> {
    let entries = table(protocol).ok()?;
    let found = entries
        .iter()
        .filter(|entry| {
            entry.port == port
                && (entry.address == address || entry.address.is_unspecified() || address.is_unspecified())
        })
        .find_map(|entry| owner(entry.inode));
    // A socket of IPv4 alone is in the way of one that takes IPv4 too.
    found.or_else(|| {
        lines(protocol).filter(|line| line.short && line.port == port).find_map(|line| owner(line.inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_lines() {
        // A line as a little-endian kernel writes it, and one cut short.
        let line = "  12: 000080FE00000000FF005450EE05FEFF:0222 00000000000000000000000000000000:0000 07 00000000:00000000 \
                    00:00000000 00000000     0        0 4242 2 0000000000000000 0";
        let entry = Line::parse(line).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(entry.address(), "fe80::5054:ff:fffe:5ee".parse::<IpAddr>().unwrap());
        }
        assert_eq!((entry.port, entry.inode, entry.state), (546, 4242, UNCONNECTED));
        assert!(Line::parse(&line[..60]).is_none());
        let ipv4 = "0: 0100007F:0035 00000000:0000 0A 0:0 0:0 0 0 0 78 1";
        let entry = Line::parse(ipv4).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(entry.address(), "127.0.0.1".parse::<IpAddr>().unwrap());
        }
        assert_eq!((entry.port, entry.inode, entry.state), (53, 78, LISTEN));
        assert!(Line::parse(&ipv4.replace("0100007F", "0100007")).is_none());
    }
}
