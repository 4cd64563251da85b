//! On which link an address is: for a machine that has nothing but a label with its hardware address.
//!
//! ```no_run
//! use sixgate_endpoint::links;
//!
//! # fn main() -> std::io::Result<()> {
//! // As the label has it: 00:00:5e:00:53:01.
//! let printer = links::eui64([0x00, 0x00, 0x5e, 0x00, 0x53, 0x01]);
//! for found in links::find(printer)? {
//!     println!("{found}"); // fe80::200:5eff:fe00:5301%eth0
//! }
//! # Ok(())
//! # }
//! ```

use crate::network::{Neighbour, neighbours};
use crate::{Endpoint, Zone, interface_index};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// Interfaces that are tried at most; a router may have thousands.
const MOST: usize = 256;
/// Any port does, for a refusal is an answer: discard (RFC 863).
const PORT: u16 = 9;
/// After this the kernel has given up a neighbour that does not exist: three solicitations a second apart (RFC 4861 section 10:
/// MAX_MULTICAST_SOLICIT and RETRANS_TIMER).
const SETTLED: Duration = Duration::from_millis(3500);
/// One that it knew before is believed for 5 seconds, and then asked three times (DELAY_FIRST_PROBE_TIME, MAX_UNICAST_SOLICIT).
const BELIEVED: Duration = Duration::from_millis(8500);
/// How often the kernel is asked once the first time is over.
const STEP: Duration = Duration::from_millis(250);

/// The link-local address that a machine makes from its hardware address (RFC 4291 section 2.5.1 and appendix A). Machines that
/// prefer privacy (RFC 7217) have another.
pub fn eui64(hardware: [u8; 6]) -> Endpoint {
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
    octets[8..11].copy_from_slice(&hardware[..3]);
    octets[13..].copy_from_slice(&hardware[3..]);
    octets[8] ^= 0x02;
    Endpoint::new(Ipv6Addr::from_octets(octets))
}

/// Where a link-local address answers: the same address with the name of each interface on whose link it does, sorted. Each link is tried at
/// once, with a connection to the discard port: whoever refuses it is there, and so is who says nothing to that but answers
/// Neighbour Discovery. Takes milliseconds where it refuses on every link, 3.5 seconds where it is on some only, up to 8.5
/// where the kernel knew it before.
///
/// # Errors
/// Where the address is not link-local, or the system has no IPv6 or cannot list its interfaces.
pub fn find(address: Endpoint) -> io::Result<Vec<Endpoint>> {
    let ip = address.ipv6().filter(|_| address.has_zones() && !address.address().is_multicast());
    let Some(ip) = ip else {
        let reason = format!("{address} is not a link-local address, and so on no link in particular");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    };
    let mut trying: Vec<Trying> = Vec::new();
    let mut found = Vec::new();
    for zone in zones()? {
        let there = address.without_port().with_zone(zone);
        let (Ok(to), Some(index)) = (there.socket_addr(PORT), zone.resolve(interface_index)) else {
            continue;
        };
        let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match outcome(socket.connect(&SockAddr::from(to)).err()) {
            Outcome::There => found.push(there),
            Outcome::UnderWay => trying.push(Trying { there, index: index.get(), socket }),
            Outcome::NotThere => {}
        }
    }
    let begin = Instant::now();
    while !trying.is_empty() {
        let left = SETTLED.saturating_sub(begin.elapsed());
        if left.is_zero() {
            // Nobody refused in time; the kernel knows who is there all the same.
            let known = neighbours(ip)?;
            let over = begin.elapsed() >= BELIEVED;
            trying.retain(|trying| match known.iter().find(|(index, _)| *index == trying.index) {
                Some((_, Neighbour::Reachable)) => {
                    found.push(trying.there);
                    false
                }
                Some((_, Neighbour::Asked)) => !over,
                _ => false,
            });
        }
        answers(&mut trying, &mut found, if left.is_zero() { STEP } else { left })?;
    }
    found.sort_unstable();
    Ok(found)
}

/// An interface on whose link it may be.
struct Trying {
    there: Endpoint,
    index: u32,
    socket: Socket,
}

/// Waits for an answer, and takes those who gave one from `trying`.
fn answers(trying: &mut Vec<Trying>, found: &mut Vec<Endpoint>, patience: Duration) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> =
        trying.iter().map(|trying| PollFd::new(&trying.socket, PollFlags::OUT)).collect();
    match poll(&mut polled, Timespec::try_from(patience).ok().as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    let answered: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
    drop(polled);
    let mut answered = answered.into_iter();
    trying.retain(|trying| {
        if !answered.next().unwrap_or_default() {
            return true;
        }
        if matches!(outcome(trying.socket.take_error().unwrap_or_else(Some)), Outcome::There) {
            found.push(trying.there);
        }
        false
    });
    Ok(())
}

enum Outcome {
    There,
    NotThere,
    UnderWay,
}

fn outcome(error: Option<io::Error>) -> Outcome {
    match error {
        None => Outcome::There,
        Some(error) => match Errno::from_io_error(&error) {
            Some(Errno::INPROGRESS) => Outcome::UnderWay,
            // It says no, so it is there.
            Some(Errno::CONNREFUSED | Errno::CONNRESET | Errno::ACCESS) => Outcome::There,
            _ => Outcome::NotThere,
        },
    }
}

/// The interfaces of the network that this thread is in.
fn zones() -> io::Result<Vec<Zone>> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    Ok(names.filter(|name| *name != "lo").filter_map(Zone::from_name).take(MOST).collect())
}
