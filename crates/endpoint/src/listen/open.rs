//! One socket, from what is wanted to what is verified; and each error of the kernel in words.

use super::verify::{self, Seen};
use super::{Listen, ListenError, ListenFailure, Transport, Want, Warning};
use crate::interface::index_by;
use crate::{Endpoint, Family};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// An open socket.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) socket: Socket,
    /// With the port that the kernel chose, the zone as it was written.
    pub(super) endpoint: Endpoint,
    /// The interface of a scoped address.
    pub(super) index: u32,
    pub(super) warnings: Vec<Warning>,
}

/// Opens `want`, non-blocking, and verifies it.
pub(super) fn open(want: Want, transport: Transport, listen: &Listen) -> Result<Open, ListenError> {
    let endpoint = want.endpoint;
    let error = |failure, reason| ListenError { transport, endpoint, failure, reason };
    let Some(port) = endpoint.port() else {
        let reason = format!("it has no port; write {}", endpoint.with_port(8080));
        return Err(error(ListenFailure::Nothing, reason));
    };
    let fail = |step: &str, source: io::Error| explain(want, transport, step, &source);
    let (domain, v6) = match endpoint.family() {
        Family::V4 => (Domain::IPV4, false),
        Family::V6 => (Domain::IPV6, true),
    };
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(domain, kind, Some(protocol)).map_err(|source| fail("open a socket", source))?;

    let index = match endpoint.zone() {
        Some(zone) => match zone.resolve(|name| index_by(&socket, name)) {
            Some(index) => index.get(),
            None => return Err(error(ListenFailure::NoSuchZone, no_interface(endpoint))),
        },
        None if endpoint.has_zones() => return Err(error(ListenFailure::NoSuchZone, no_zone(endpoint))),
        None => 0,
    };
    if v6 {
        // Before the bind, always: net.ipv6.bindv6only decides otherwise, and after it the kernel refuses
        // (RFC 3493 section 5.3).
        socket.set_only_v6(!want.mapped).map_err(|source| fail("set IPV6_V6ONLY", source))?;
    }
    if transport == Transport::Tcp {
        // Or a restart waits for connections of its predecessor (TIME_WAIT). Not for UDP: there it shares the
        // port with anybody.
        socket.set_reuse_address(true).map_err(|source| fail("set SO_REUSEADDR", source))?;
    }
    socket.set_nonblocking(true).map_err(|source| fail("make it non-blocking", source))?;
    let free = |on: bool| if v6 { socket.set_freebind_v6(on) } else { socket.set_freebind_v4(on) };
    let Some(address) = endpoint.to_socket_addr(port, |_| Some(index)) else {
        return Err(error(ListenFailure::NoSuchZone, no_interface(endpoint)));
    };
    let address = SockAddr::from(address);
    let mut warnings = Vec::new();
    if let Err(source) = socket.bind(&address) {
        // A link-local address comes after its interface (duplicate address detection), and goes and comes
        // with it.
        let waits =
            (index != 0 || listen.patient) && Errno::from_io_error(&source) == Some(Errno::ADDRNOTAVAIL);
        if !waits {
            return Err(fail("bind", source));
        }
        free(true).and_then(|()| socket.bind(&address)).map_err(|source| fail("bind", source))?;
        let reason =
            "no interface has the address, or duplicate address detection has not finished".to_owned();
        warnings.push(Warning::NotYet { endpoint, reason });
    }
    if transport == Transport::Tcp {
        socket.listen(listen.backlog).map_err(|source| fail("listen", source))?;
    }
    let Seen { port, unverified } = verify::verify(&socket, want, transport, index)
        .map_err(|difference| error(ListenFailure::Mismatch, difference))?;
    let endpoint = endpoint.with_port(port);
    warnings.extend(unverified.map(|reason| Warning::Unverified { endpoint, reason }));
    Ok(Open { socket, endpoint, index, warnings })
}

/// The names of the interfaces of this network namespace.
fn interfaces() -> String {
    // A thread may have a namespace of its own.
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names: Vec<&str> =
        table.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    match names.as_slice() {
        [] => "`ip link` lists them".to_owned(),
        // A router has thousands.
        [first @ .., _] if names.len() > 16 => format!("there are {} and others", first[..16].join(", ")),
        names => format!("there are {}", names.join(", ")),
    }
}

fn no_interface(endpoint: Endpoint) -> String {
    let zone = endpoint.zone().map(|zone| zone.to_string()).unwrap_or_default();
    format!("this machine has no interface `{zone}`; {}", interfaces())
}

fn no_zone(endpoint: Endpoint) -> String {
    let port = endpoint.port().unwrap_or_default();
    let example = format!("[{}%eth0]:{port}", endpoint.address());
    format!("it needs the interface it is on, as in {example}; {}", interfaces())
}

/// The same, where it concerns no socket in particular.
pub(super) fn explain_any(transport: Transport, source: &io::Error) -> ListenError {
    let want = Want { endpoint: Endpoint::new(Ipv6Addr::UNSPECIFIED), mapped: false };
    explain(want, transport, "open a socket", source)
}

/// An error of the kernel in words.
fn explain(want: Want, transport: Transport, step: &str, source: &io::Error) -> ListenError {
    let endpoint = want.endpoint;
    let port = endpoint.port().unwrap_or_default();
    let flag = if transport == Transport::Tcp { 't' } else { 'u' };
    let (failure, reason) = match Errno::from_io_error(source) {
        Some(Errno::ADDRINUSE) => {
            let both = match endpoint.address() {
                IpAddr::V4(_) => "; a listener on [::] that takes IPv4 too counts as one on 0.0.0.0",
                IpAddr::V6(_) if want.mapped => {
                    "; one on 0.0.0.0 counts too, since IPv4 is wanted on the same socket"
                }
                IpAddr::V6(_) => "",
            };
            let reason =
                format!("the port is taken; `ss -{flag}lnp sport = :{port}`, as root, says by whom{both}");
            (ListenFailure::InUse, reason)
        }
        Some(Errno::ACCESS) if (1..1024).contains(&port) => {
            let reason = "ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE: \
                 start as root, or `setcap cap_net_bind_service=+ep` the program, or set \
                 AmbientCapabilities= in its systemd unit";
            (ListenFailure::Permission, reason.to_owned())
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            let reason = format!("not permitted ({step}); does a sandbox or a security module forbid it?");
            (ListenFailure::Permission, reason)
        }
        Some(Errno::ADDRNOTAVAIL) if endpoint.address().is_unspecified() => {
            (ListenFailure::NoFamily, format!("this system has no {} here", endpoint.family()))
        }
        Some(Errno::ADDRNOTAVAIL) => {
            let loopback = match endpoint.address() {
                IpAddr::V6(Ipv6Addr::LOCALHOST) => " (::1 is away where net.ipv6.conf.lo.disable_ipv6 is 1)",
                _ => "",
            };
            let reason = format!(
                "no interface of this machine has the address{loopback}, or duplicate address detection \
                 has not finished; `ip address` lists what there is"
            );
            (ListenFailure::NoSuchAddress, reason)
        }
        Some(Errno::NODEV) => (ListenFailure::NoSuchZone, no_interface(endpoint)),
        Some(Errno::AFNOSUPPORT) => {
            let family = endpoint.family();
            let reason = format!(
                "this system has no {family}: its kernel lacks it, or a sandbox refuses {family} sockets"
            );
            (ListenFailure::NoFamily, reason)
        }
        Some(Errno::MFILE | Errno::NFILE) => {
            let reason = "out of file descriptors; close what is not needed, or raise the limit (ulimit -n)";
            (ListenFailure::Exhausted, reason.to_owned())
        }
        Some(Errno::NOMEM | Errno::NOBUFS) => (ListenFailure::Exhausted, "out of memory".to_owned()),
        errno => {
            (ListenFailure::System(errno.map_or(0, Errno::raw_os_error)), format!("cannot {step}: {source}"))
        }
    };
    ListenError { transport, endpoint, failure, reason }
}
