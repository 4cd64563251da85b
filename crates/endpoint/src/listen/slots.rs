//! The sockets of one listener, and what becomes of them when interfaces come and go.

use super::open::{self, Open};
use super::{Listen, ListenError, ListenFailure, Missing, Refreshed, Transport, Want, Warning};
use crate::network::Changes;
use crate::{Endpoint, Family};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use socket2::Socket;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How often a free port is looked for that both families have.
const PORT_TRIES: usize = 64;

/// After which time what could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// One wanted socket.
#[derive(Debug)]
struct Slot {
    /// With the port that the kernel chose.
    want: Want,
    socket: Option<Socket>,
    /// The interface that a scoped address was bound on.
    index: u32,
}

/// All sockets of a [`Listen`].
pub(super) struct Slots {
    listen: Listen,
    transport: Transport,
    all: Vec<Slot>,
    missing: Vec<Missing>,
    warnings: Vec<Warning>,
    changes: Option<Changes>,
    /// Asks for the names of interfaces, in the network namespace that all began in.
    asking: OwnedFd,
    /// Which socket has its turn, so that none starves behind a busy one.
    next: usize,
    /// An interface is there, and its socket could not be opened: it is tried again before long.
    unopened: bool,
    /// Turns since the kernel's news were looked at.
    turns: u8,
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("slots", &self.all)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

impl Slots {
    pub(super) fn open(listen: &Listen, transport: Transport) -> Result<Self, ListenError> {
        let mut tries = 0;
        let mut slots = loop {
            // Each family chooses in turn: all but a few ports of one may be taken.
            let reversed = tries % 2 == 1;
            tries += 1;
            match Self::open_once(listen, transport, reversed) {
                // The free port of one family may be taken in the other.
                Err(error)
                    if error.failure == ListenFailure::InUse
                        && tries < PORT_TRIES
                        && listen.wants.iter().any(|want| want.endpoint.port() == Some(0)) => {}
                Err(error) => return Err(error),
                Ok(slots) => break slots,
            }
        };
        if slots.depends_on_interfaces() {
            match Changes::open() {
                Ok(changes) => slots.changes = Some(changes),
                Err(error) => slots.warnings.push(Warning::Unwatched { reason: error.to_string() }),
            }
            // What came between the bind and the subscription.
            let done = slots.refresh();
            slots.warnings.extend(done.into_iter().map(Warning::Refreshed));
        }
        for warning in &slots.warnings {
            (listen.hear)(warning);
        }
        Ok(slots)
    }

    fn open_once(listen: &Listen, transport: Transport, reversed: bool) -> Result<Self, ListenError> {
        // Any socket serves, also one that needs no family.
        let open = |family| socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let asking = open(AddressFamily::UNIX)
            .or_else(|_| open(AddressFamily::INET6))
            .or_else(|_| open(AddressFamily::INET))
            .map_err(|errno| open::explain_any(transport, &errno.into()))?;
        let mut this = Self {
            listen: listen.clone(),
            transport,
            all: Vec::new(),
            missing: Vec::new(),
            warnings: Vec::new(),
            changes: None,
            asking,
            next: 0,
            unopened: false,
            turns: 0,
        };
        let mut wants: std::collections::VecDeque<Want> = listen.wants.iter().copied().collect();
        if reversed {
            wants.make_contiguous().reverse();
        }
        let (mut free_port, mut first_missing) = (None, None);
        while let Some(mut want) = wants.pop_front() {
            let chooses = want.endpoint.port() == Some(0);
            if let Some(port) = free_port.filter(|_| chooses) {
                want.endpoint = want.endpoint.with_port(port);
            }
            match open::open(want, transport, listen) {
                Ok(Open { socket, endpoint, index, warnings }) => {
                    if chooses {
                        free_port = endpoint.port();
                    }
                    want.endpoint = endpoint;
                    this.all.push(Slot { want, socket: Some(socket), index });
                    this.warnings.extend(warnings);
                    this.warn_of_link_local(endpoint);
                }
                Err(error)
                    if error.failure == ListenFailure::NoFamily
                        && listen.families
                        && !listen.require_both =>
                {
                    let family = want.endpoint.family();
                    this.missing.push(Missing { family, reason: error.reason.clone() });
                    if want.mapped {
                        // The socket for both is one of IPv6.
                        let v4 = Endpoint::new(Ipv4Addr::UNSPECIFIED);
                        let endpoint = v4.with_port(want.endpoint.port().unwrap_or_default());
                        wants.push_back(Want { endpoint, mapped: false });
                    }
                    first_missing.get_or_insert(error);
                }
                Err(error) if listen.patient && error.failure == ListenFailure::NoSuchZone && !chooses => {
                    let endpoint = want.endpoint;
                    if endpoint.zone().is_none() {
                        return Err(error);
                    }
                    this.all.push(Slot { want, socket: None, index: 0 });
                    this.warnings.push(Warning::NotYet { endpoint, reason: error.reason });
                    this.warn_of_link_local(endpoint);
                }
                Err(error) => return Err(error),
            }
        }
        if reversed {
            this.all.reverse();
        }
        if this.all.is_empty() {
            if let [first, second] = this.missing.as_slice()
                && let Some(error) = &mut first_missing
            {
                error.reason = format!("neither family can be had: {}; {}", first.reason, second.reason);
            }
            return Err(first_missing.unwrap_or_else(|| ListenError {
                transport,
                endpoint: Endpoint::new(Ipv4Addr::UNSPECIFIED),
                failure: ListenFailure::Nothing,
                reason: "no address was given; name at least one".to_owned(),
            }));
        }
        this.warnings.extend(this.missing.iter().cloned().map(Warning::Missing));
        Ok(this)
    }

    fn warn_of_link_local(&mut self, endpoint: Endpoint) {
        if endpoint.has_zones() && !endpoint.address().is_multicast() {
            self.warnings.push(Warning::LinkLocal(endpoint));
        }
    }

    /// Whether an interface that comes or goes matters.
    fn depends_on_interfaces(&self) -> bool {
        self.all.iter().any(|slot| slot.socket.is_none() || slot.want.endpoint.zone().is_some())
    }

    /// Resolves the names of interfaces anew, and opens again what was on one that has another index now.
    pub(super) fn refresh(&mut self) -> Vec<Refreshed> {
        let mut done = Vec::new();
        self.unopened = false;
        for slot in &mut self.all {
            let endpoint = slot.want.endpoint;
            let Some(zone) = endpoint.zone() else { continue };
            let index = match (zone.name(), zone.index()) {
                (Some(name), _) => crate::interface::index_by(&self.asking, name).unwrap_or(0),
                (None, Some(index)) if index_to_name(&self.asking, index.get()).is_ok() => index.get(),
                (None, _) => 0,
            };
            if slot.socket.is_some() && index == slot.index {
                continue;
            }
            // Closed first: it has the port.
            let had = slot.socket.take().is_some();
            if index == 0 {
                if had {
                    let reason = format!("the interface `{zone}` has gone");
                    done.push(Refreshed::Lost { endpoint, reason });
                }
                continue;
            }
            match open::open(slot.want, self.transport, &self.listen) {
                Ok(Open { socket, endpoint, index, .. }) => {
                    slot.socket = Some(socket);
                    slot.index = index;
                    done.push(Refreshed::Opened(endpoint));
                }
                Err(error) => {
                    self.unopened = true;
                    if had {
                        done.push(Refreshed::Lost { endpoint, reason: error.reason });
                    }
                }
            }
        }
        done
    }

    /// Refreshes where the kernel says that something has changed, and tells of it. Whether sockets were
    /// replaced.
    pub(super) fn follow(&mut self) -> bool {
        let changed = self.changes.as_mut().is_some_and(Changes::changed);
        if !changed && !self.unopened {
            return false;
        }
        let done = self.refresh();
        let replaced = !done.is_empty();
        for refreshed in done {
            (self.listen.hear)(&Warning::Refreshed(refreshed));
        }
        replaced
    }

    /// [`Slots::follow`], now and then: on a busy service nobody ever waits, and yet the news shall be heard.
    pub(super) fn follow_at_times(&mut self) -> bool {
        self.turns = self.turns.wrapping_add(1);
        self.turns == 0 && self.follow()
    }

    /// Asks each open socket in turn, beginning behind the one that answered last; `None` where all would
    /// wait. `try_one` says `WouldBlock` where its socket has nothing.
    pub(super) fn in_turn<T>(
        &mut self,
        mut try_one: impl FnMut(&Socket) -> io::Result<T>,
    ) -> io::Result<Option<(usize, T)>> {
        let count = self.all.len();
        for step in 0..count {
            let number = (self.next + step) % count;
            let Some(socket) = self.all.get(number).and_then(|slot| slot.socket.as_ref()) else { continue };
            match try_one(socket) {
                Ok(found) => {
                    self.next = (number + 1) % count;
                    return Ok(Some((number, found)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.next = (number + 1) % count;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Waits until a socket has something, an interface has changed, or the time is over (`None`: never).
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = match (timeout, self.patience()) {
            (Some(timeout), Some(patience)) => Some(timeout.min(patience)),
            (timeout, patience) => timeout.or(patience),
        };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut waiting: Vec<PollFd<'_>> =
            self.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How long to wait at most before [`Slots::follow`], where something is to be tried again.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.unopened.then_some(AGAIN)
    }

    /// What to poll: the sockets, and the kernel's news of interfaces.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let sockets = self.all.iter().filter_map(|slot| slot.socket.as_ref()).map(|socket| socket.as_fd());
        sockets.chain(self.changes.as_ref().map(|changes| changes.as_fd()))
    }

    /// The open sockets.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (Endpoint, BorrowedFd<'_>)> {
        self.all.iter().filter_map(|slot| Some((slot.want.endpoint, slot.socket.as_ref()?.as_fd())))
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.all.iter().map(|slot| slot.want.endpoint).collect()
    }

    pub(super) fn port(&self) -> Option<u16> {
        let mut ports = self.all.iter().map(|slot| slot.want.endpoint.port());
        let first = ports.next()?;
        first.filter(|_| ports.all(|port| port == first))
    }

    pub(super) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    pub(super) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The socket with this number, and whether IPv4 goes out by it as mapped addresses.
    pub(super) fn socket(&self, number: usize) -> Option<(&Socket, bool)> {
        let slot = self.all.get(number)?;
        Some((slot.socket.as_ref()?, slot.want.mapped))
    }

    /// The socket by which to send to `to`: of its family; on its interface before all others; on no
    /// interface in particular before one on another.
    pub(super) fn towards(&self, to: Endpoint, index: u32) -> Option<usize> {
        let can = |slot: &&(usize, &Slot)| {
            let want = slot.1.want;
            let family = want.endpoint.family() == to.family() || (want.mapped && to.family() == Family::V4);
            // A socket of one link does not send to another, nor one of loopback beyond it.
            slot.1.socket.is_some()
                && family
                && (slot.1.index == 0 || slot.1.index == index)
                && (!want.endpoint.address().is_loopback() || to.address().is_loopback())
        };
        let candidates: Vec<(usize, &Slot)> = self.all.iter().enumerate().collect();
        let best = candidates
            .iter()
            .filter(can)
            .max_by_key(|(number, slot)| (index != 0 && slot.index == index, std::cmp::Reverse(*number)))?;
        Some(best.0)
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for slot in &self.all {
            let state = match (&slot.socket, slot.want.mapped, slot.want.endpoint.family()) {
                (None, ..) => "waits for its interface",
                (_, true, _) => "IPv6, and IPv4 as mapped addresses",
                (_, false, Family::V6) => "IPv6 alone",
                (_, false, Family::V4) => "IPv4 alone",
            };
            write!(f, "{before}{} {} ({state})", self.transport, slot.want.endpoint)?;
            before = ", ";
        }
        for Missing { family, reason } in &self.missing {
            write!(f, "; no {family}: {reason}")?;
        }
        Ok(())
    }
}
