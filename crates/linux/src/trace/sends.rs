//! Which sends are looked at. A server of datagrams makes hardly any other call, and most tell nothing new.

use super::call::Action;
use std::collections::{BTreeSet, HashMap};

/// The first sends of a socket, which are all looked at.
const FIRST: u64 = 256;
/// Of those after them, one in so many.
const EVERY: u64 = 64;
/// Destinations of a socket that are remembered; of one that has more, each send that is looked at is told.
const DESTINATIONS: usize = 64;
/// Sockets that are remembered; when there are more, all are forgotten, and told of once more.
const SOCKETS: usize = 1024;

/// A socket: the process, and its descriptor.
pub(super) type Sender = (i32, i32);

/// What was sent so far.
#[derive(Debug, Default)]
pub(super) struct Sends {
    of: HashMap<Sender, Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    count: u64,
    /// Destinations as they were written, each told once.
    told: BTreeSet<Vec<u8>>,
}

impl Sends {
    /// Whether this send is looked at: all of the first, then samples.
    pub(super) fn is_looked_at(&mut self, sender: Sender) -> bool {
        if self.of.len() >= SOCKETS && !self.of.contains_key(&sender) {
            self.of.clear();
        }
        let sent = self.of.entry(sender).or_default();
        sent.count += 1;
        sent.count <= FIRST || sent.count.is_multiple_of(EVERY)
    }

    /// Whether the same socket was told to have sent to the same address.
    pub(super) fn is_known(&self, sender: Sender, action: &Action) -> bool {
        self.of.get(&sender).is_some_and(|sent| destination(action).is_some_and(|to| sent.told.contains(&to)))
    }

    /// A send succeeded and is told: its like need not be.
    pub(super) fn told(&mut self, sender: Sender, action: &Action) {
        if let (Some(sent), Some(to)) = (self.of.get_mut(&sender), destination(action))
            && sent.told.len() < DESTINATIONS
        {
            sent.told.insert(to);
        }
    }

    /// The descriptor is another socket now.
    pub(super) fn forget(&mut self, sender: Sender) {
        self.of.remove(&sender);
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
        let looked = (0..FIRST + 100 * EVERY).filter(|_| sends.is_looked_at((1, 3))).count() as u64;
        assert_eq!(looked, FIRST + 100);
        assert!(!sends.is_known((1, 3), &send(1)));
        sends.told((1, 3), &send(1));
        assert!(sends.is_known((1, 3), &send(1)));
        assert!(!sends.is_known((1, 3), &send(2)));
        // Another length is another mistake; another process has other descriptors.
        let Action::Send { mut to } = send(1) else { panic!() };
        to.length = 16;
        assert!(!sends.is_known((1, 3), &Action::Send { to }));
        assert!(!sends.is_known((2, 3), &send(1)));
        // A new socket under the same descriptor begins anew.
        sends.forget((1, 3));
        assert!(sends.is_looked_at((1, 3)) && !sends.is_known((1, 3), &send(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sends = Sends::default();
        for descriptor in 0..10_000 {
            sends.is_looked_at((1, descriptor));
            assert!(sends.of.len() <= SOCKETS);
        }
        sends.is_looked_at((1, 0));
        for last in 0..=255 {
            sends.told((1, 0), &send(last));
        }
        assert_eq!(sends.of[&(1, 0)].told.len(), DESTINATIONS);
    }
}
