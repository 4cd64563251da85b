//! What was asked for is compared with what the kernel says of the socket.

use super::{Transport, Want};
use crate::interface::index_by;
use crate::{Endpoint, Family, Zone};
use socket2::{Domain, Socket};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

/// How often the table is read before a socket is not there. The kernel gives it out in pieces, and continues by
/// counting: where sockets of others are closed meanwhile, it leaves out some.
const TABLE_TRIES: usize = 20;

/// What the kernel says.
pub(super) struct Seen {
    /// The port, chosen by the kernel where 0 was asked for.
    pub(super) port: u16,
    /// Why the kernel's table could not be looked into.
    pub(super) unverified: Option<String>,
}

/// Compares; an error says what differs, in words.
pub(super) fn verify(socket: &Socket, want: Want, transport: Transport, index: u32) -> Result<Seen, String> {
    let cannot = |what: &str, source: &io::Error| format!("the kernel does not say {what}: {source}");
    let local = socket.local_addr().map_err(|source| cannot("where it listens", &source))?;
    let Some(local) = local.as_socket().map(Endpoint::from) else {
        return Err("the kernel has given it an address that is neither IPv4 nor IPv6".to_owned());
    };
    let zone = Zone::from_index(index).filter(|_| want.endpoint.has_zones());
    let asked = zone.map_or(want.endpoint.without_zone(), |zone| want.endpoint.with_zone(zone));
    let port = local.port().unwrap_or_default();
    let chosen = asked.port() == Some(0) && port != 0;
    // Of multicast the kernel keeps the zone only where its scope is the link or less.
    let (local, asked) = if asked.address().is_multicast() {
        (local.without_zone(), asked.without_zone())
    } else {
        (local, asked)
    };
    if local.without_port() != asked.without_port() || (local.port() != asked.port() && !chosen) {
        return Err(format!("the kernel has bound it to {local}"));
    }
    let domain = socket.domain().map_err(|source| cannot("of which family it is", &source))?;
    let v6 = want.endpoint.family() == Family::V6;
    if domain != if v6 { Domain::IPV6 } else { Domain::IPV4 } {
        return Err("the kernel has opened it in another family".to_owned());
    }
    if v6 {
        let only =
            socket.only_v6().map_err(|source| cannot("whether IPv4 comes by it (IPV6_V6ONLY)", &source))?;
        if only == want.mapped {
            let takes = if only { "refuses" } else { "takes" };
            return Err(format!("the kernel says that it {takes} IPv4 (IPV6_V6ONLY is {})", u8::from(only)));
        }
    }
    if transport == Transport::Tcp
        && !socket.is_listener().map_err(|source| cannot("whether it listens", &source))?
    {
        return Err("the kernel says that it does not listen (SO_ACCEPTCONN is 0)".to_owned());
    }
    if let Some(name) = want.endpoint.zone().as_ref().and_then(Zone::name) {
        let device = socket.device().map_err(|source| cannot("on which interface it is", &source))?;
        let device = String::from_utf8_lossy(&device.unwrap_or_default()).into_owned();
        // An interface may have other names (`ip link property add altname`); the kernel tells the first.
        if device != name && index_by(socket, &device) != Some(index) {
            return Err(format!("the kernel has bound it to the interface `{}`", device.escape_debug()));
        }
    }
    let mut tries = 1..TABLE_TRIES;
    let listed = loop {
        match table(socket, want.endpoint.family(), transport) {
            Ok(None) if tries.next().is_some() => {}
            listed => break listed,
        }
    };
    let unverified = match listed {
        Ok(Some((address, table_port))) => {
            let listed = Endpoint::new(address).with_port(table_port);
            if listed != local.without_zone() {
                return Err(format!("the kernel's table of sockets has it on {listed}"));
            }
            None
        }
        Ok(None) => {
            return Err(
                "it is not in the kernel's table of sockets (/proc/net): nothing listens there".to_owned()
            );
        }
        Err(source) => Some(format!("/proc/net: {source}")),
    };
    Ok(Seen { port, unverified })
}

/// Address and port of our socket in the kernel's table (proc_pid_net(5)), by its inode.
fn table(socket: &Socket, family: Family, transport: Transport) -> io::Result<Option<(IpAddr, u16)>> {
    // A thread may have a network namespace of its own.
    let path = match (transport, family) {
        (Transport::Tcp, Family::V4) => "/proc/thread-self/net/tcp",
        (Transport::Tcp, Family::V6) => "/proc/thread-self/net/tcp6",
        (Transport::Udp, Family::V4) => "/proc/thread-self/net/udp",
        (Transport::Udp, Family::V6) => "/proc/thread-self/net/udp6",
    };
    let inode = File::from(socket.as_fd().try_clone_to_owned()?).metadata()?.ino();
    for line in BufReader::new(File::open(path)?).lines().skip(1) {
        let Some(row) = Row::parse(&line?) else { continue };
        // Listeners stand first: of a server with a million connections none is read.
        if transport == Transport::Tcp && !row.listens {
            break;
        }
        if row.inode == inode {
            return Ok(Some((row.address, row.port)));
        }
    }
    Ok(None)
}

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    address: IpAddr,
    port: u16,
    listens: bool,
    inode: u64,
}

impl Row {
    /// `sl local_address remote_address st tx:rx tr:when retrnsmt uid timeout inode ...`. Addresses are
    /// 32-bit words in the machine's byte order, in hexadecimal.
    fn parse(line: &str) -> Option<Self> {
        /// `TCP_LISTEN` of the kernel's tcp_states.h.
        const LISTEN: &str = "0A";
        let mut fields = line.split_ascii_whitespace();
        // ipv6-audit: allow colon-split because the kernel writes the address in hexadecimal, without colons
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let listens = fields.nth(1)? == LISTEN;
        let inode = fields.nth(5)?.parse().ok()?;
        let word = |at: usize| {
            let hexadecimal = address.get(at * 8..at * 8 + 8)?;
            Some(u32::from_str_radix(hexadecimal, 16).ok()?.to_ne_bytes())
        };
        let address = match address.len() {
            8 => Ipv4Addr::from(word(0)?).into(),
            32 => {
                let words = [word(0)?, word(1)?, word(2)?, word(3)?];
                let mut octets = [0; 16];
                octets.copy_from_slice(words.as_flattened());
                Ipv6Addr::from(octets).into()
            }
            _ => return None,
        };
        Some(Self { address, port: u16::from_str_radix(port, 16).ok()?, listens, inode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Protocol, SockAddr, Type};

    #[test]
    fn reads_the_kernels_table() {
        let rows = [
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711",
            "   1: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 01 \
             00000000:00000000 00:00000000 00000000     0        0 12 1 0",
        ];
        if cfg!(target_endian = "little") {
            let parsed: Vec<Row> = rows.iter().map(|line| Row::parse(line).unwrap()).collect();
            let row = |address: &str, port, listens, inode| Row {
                address: address.parse().unwrap(),
                port,
                listens,
                inode,
            };
            assert_eq!(parsed, [row("127.0.0.1", 8080, true, 4711), row("2001:db8::1", 80, false, 12)]);
        }
        for line in rows {
            for length in 0..line.len() {
                Row::parse(&line[..length]);
            }
        }
        for line in [
            "",
            ":",
            "a b c d e f g h i j",
            "1: 00:00 00:00 0A 0 0 0 0 0 1",
            "1: é0100007:é 0 0A 0 0 0 0 0 1",
        ] {
            assert_eq!(Row::parse(line), None, "{line}");
        }
    }

    /// Each difference is seen: sockets that were opened otherwise than the want says.
    #[test]
    fn a_difference_is_named() {
        sixgate_lab::root_for_tests().unwrap();
        let lab = sixgate_lab::Lab::new("verify").unwrap();
        lab.host("a").unwrap().run(differences);
    }

    fn differences() {
        let opened = |domain, kind, only: Option<bool>, address: &str, listen| {
            let socket = Socket::new(domain, kind, None::<Protocol>).unwrap();
            if let Some(only) = only {
                socket.set_only_v6(only).unwrap();
            }
            socket.bind(&SockAddr::from(address.parse::<std::net::SocketAddr>().unwrap())).unwrap();
            if listen {
                socket.listen(1).unwrap();
            }
            socket
        };
        let want = |text: &str, mapped| Want { endpoint: text.parse().unwrap(), mapped };
        let said = |socket: &Socket, want: Want, transport| {
            verify(socket, want, transport, 0).err().unwrap_or_default()
        };
        let tcp = opened(Domain::IPV4, Type::STREAM, None, "127.0.0.1:0", true);
        assert_eq!(said(&tcp, want("127.0.0.1:0", false), Transport::Tcp), "");
        assert!(said(&tcp, want("127.0.0.2:0", false), Transport::Tcp).contains("bound it to 127.0.0.1:"));
        assert!(said(&tcp, want("127.0.0.1:1", false), Transport::Tcp).contains("bound it to 127.0.0.1:"));
        assert!(said(&tcp, want("127.0.0.1:0", false), Transport::Udp).contains("not in the kernel's table"));
        let deaf = opened(Domain::IPV4, Type::STREAM, None, "127.0.0.1:0", false);
        assert!(said(&deaf, want("127.0.0.1:0", false), Transport::Tcp).contains("does not listen"));
        let mapped = opened(Domain::IPV6, Type::DGRAM, Some(false), "[::ffff:127.0.0.1]:0", false);
        assert!(said(&mapped, want("127.0.0.1:0", false), Transport::Udp).contains("another family"));
        let both = opened(Domain::IPV6, Type::STREAM, Some(false), "[::]:0", true);
        assert_eq!(said(&both, want("[::]:0", true), Transport::Tcp), "");
        assert!(said(&both, want("[::]:0", false), Transport::Tcp).contains("takes IPv4 (IPV6_V6ONLY is 0)"));
    }
}
