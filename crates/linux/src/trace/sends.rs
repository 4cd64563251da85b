//! Which processes are stopped at every call, to see where datagrams are sent to.
//!
//! A server of datagrams makes hardly any other call than to send, and a stop costs it more than the call. A filter that stops at
//! sends can't be taken back, so there is none: who makes a socket of datagrams is stopped at every call from then on, until
//! enough was sent by it to know, or it is connected, closed, or not used for long.

use super::call::Action;
use std::collections::{BTreeSet, HashMap};

/// Sends of a socket that are looked at.
const FIRST: u32 = 64;
/// Calls of a process within which its sockets are used, or not watched any more.
const PATIENCE: u32 = 20_000;
/// Sockets of a process that are watched at one time; no further ones are.
const SOCKETS: usize = 256;
/// Processes that are watched at one time; no further ones are.
const PROCESSES: usize = 1024;

/// Who is watched.
#[derive(Debug, Default)]
pub(super) struct Sends {
    of: HashMap<i32, Watched>,
}

#[derive(Debug, Default, Clone)]
struct Watched {
    /// By descriptor.
    sockets: HashMap<i32, Sent>,
    patience: u32,
}

#[derive(Debug, Default, Clone)]
struct Sent {
    count: u32,
    /// Destinations as they were written, each told once.
    told: BTreeSet<Vec<u8>>,
}

impl Sends {
    /// Whether nobody is.
    pub(super) fn is_idle(&self) -> bool {
        self.of.is_empty()
    }

    /// Whether a process is stopped at every call.
    pub(super) fn watches(&self, process: i32) -> bool {
        self.of.contains_key(&process)
    }

    /// A process has made a socket.
    pub(super) fn begin(&mut self, process: i32, descriptor: i32) {
        if self.of.len() >= PROCESSES && !self.watches(process) {
            return;
        }
        let watched = self.of.entry(process).or_default();
        watched.patience = PATIENCE;
        if watched.sockets.len() < SOCKETS {
            watched.sockets.insert(descriptor, Sent::default());
        }
    }

    /// A new process has its parent's sockets.
    pub(super) fn inherit(&mut self, parent: i32, child: i32) {
        if self.of.len() < PROCESSES
            && let Some(watched) = self.of.get(&parent).cloned()
        {
            self.of.insert(child, watched);
        }
    }

    /// A socket was connected or closed: it sends to nobody else.
    pub(super) fn leave(&mut self, process: i32, descriptor: i32) {
        let Some(watched) = self.of.get_mut(&process) else { return };
        watched.sockets.remove(&descriptor);
        if watched.sockets.is_empty() {
            self.forget(process);
        }
    }

    /// A process has ended, or made too many calls of other kinds.
    pub(super) fn forget(&mut self, process: i32) {
        self.of.remove(&process);
    }

    /// A call was made: patience runs out.
    pub(super) fn spend(&mut self, process: i32) {
        let Some(watched) = self.of.get_mut(&process) else { return };
        watched.patience = watched.patience.saturating_sub(1);
        if watched.patience == 0 {
            self.forget(process);
        }
    }

    /// Whether a send from this descriptor is looked at.
    pub(super) fn looks_at(&mut self, process: i32, descriptor: i32) -> bool {
        let Some(sent) = self.of.get_mut(&process).and_then(|watched| watched.sockets.get_mut(&descriptor))
        else {
            return false;
        };
        sent.count += 1;
        if sent.count >= FIRST {
            // This one yet.
            let last = sent.count == FIRST;
            self.leave(process, descriptor);
            return last;
        }
        true
    }

    /// Whether the same socket was told to have sent to the same address.
    pub(super) fn knows(&self, process: i32, descriptor: i32, action: &Action) -> bool {
        let sent = self.of.get(&process).and_then(|watched| watched.sockets.get(&descriptor));
        sent.zip(destination(action)).is_some_and(|(sent, to)| sent.told.contains(&to))
    }

    /// A send succeeded and is told: its like need not be.
    pub(super) fn told(&mut self, process: i32, descriptor: i32, action: &Action) {
        let sent = self.of.get_mut(&process).and_then(|watched| watched.sockets.get_mut(&descriptor));
        if let Some((sent, to)) = sent.zip(destination(action)) {
            sent.told.insert(to);
        }
    }
}

/// The destination with its length, since that may be wrong.
fn destination(action: &Action) -> Option<Vec<u8>> {
    let Action::Send { to } = action else { return None };
    Some([to.length.to_ne_bytes().as_slice(), &to.octets].concat())
}

#[cfg(test)]
mod tests {
    use super::super::call::SocketName;
    use super::*;

    fn send(last: u8) -> Action {
        Action::Send { to: SocketName { octets: vec![10, 0, last], length: 28 } }
    }

    #[test]
    fn the_first_sends_are_looked_at_and_new_destinations_told() {
        let mut sends = Sends::default();
        assert!(!sends.watches(1) && !sends.looks_at(1, 3));
        sends.begin(1, 3);
        assert!(sends.looks_at(1, 3) && !sends.knows(1, 3, &send(1)));
        sends.told(1, 3, &send(1));
        assert!(sends.knows(1, 3, &send(1)) && !sends.knows(1, 3, &send(2)));
        // Another length is another mistake.
        let Action::Send { mut to } = send(1) else { panic!() };
        to.length = 16;
        assert!(!sends.knows(1, 3, &Action::Send { to }));
        // A child goes on where its parent was.
        sends.inherit(1, 2);
        assert!(sends.knows(2, 3, &send(1)));
        let looked = 1 + (0..1000).filter(|_| sends.looks_at(1, 3)).count() as u32;
        assert_eq!(looked, FIRST);
        assert!(!sends.watches(1) && sends.watches(2));
    }

    #[test]
    fn who_sends_nothing_is_not_watched_for_ever() {
        let mut sends = Sends::default();
        sends.begin(1, 3);
        sends.begin(1, 4);
        sends.leave(1, 3);
        assert!(sends.watches(1) && !sends.looks_at(1, 3));
        for _ in 0..PATIENCE {
            assert!(sends.watches(1));
            sends.spend(1);
        }
        assert!(!sends.watches(1));
        for process in 0..10_000 {
            sends.begin(process, 3);
            sends.begin(0, process);
        }
        assert_eq!((sends.of.len(), sends.of[&0].sockets.len()), (PROCESSES, SOCKETS));
    }
}
