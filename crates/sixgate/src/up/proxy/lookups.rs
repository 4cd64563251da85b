//! How many names are looked up for one client: each takes threads and places in our DNS, which others need too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Names of one client that are looked up at one time, and together with those that wait for their turn. Browsers have 32 connections to a
/// proxy at most. One name takes two of a LAN's 32 threads, so that one client has half of them.
const AT_ONCE: usize = 8;
const MOST: usize = 32;

/// A client, by its LAN and its address.
type Client = (usize, IpAddr);

/// All clients for whom there are some. No more of them than connections, and than threads that look up for one that went away.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookups(Arc<Mutex<HashMap<Client, Of>>>);

#[derive(Debug)]
struct Of {
    names: usize,
    turns: Arc<Semaphore>,
}

/// The turn of one name. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    // In this order: whoever waits is let in before the client may be forgotten.
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

#[derive(Debug)]
struct Place {
    client: Client,
    lookups: Lookups,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.lookups.lock();
        if let Some(of) = all.get_mut(&self.client) {
            of.names -= 1;
            if of.names == 0 {
                all.remove(&self.client);
            }
        }
    }
}

impl Lookups {
    fn lock(&self) -> MutexGuard<'_, HashMap<Client, Of>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is the turn of one more name of this client's; `None` where too many of them wait already.
    pub(super) async fn turn(&self, lan: usize, source: IpAddr) -> Option<Turn> {
        let client = (lan, source);
        let turns = {
            let mut all = self.lock();
            let of = all
                .entry(client)
                .or_insert_with(|| Of { names: 0, turns: Arc::new(Semaphore::new(AT_ONCE)) });
            if of.names >= MOST {
                return None;
            }
            of.names += 1;
            Arc::clone(&of.turns)
        };
        let place = Place { client, lookups: self.clone() };
        let turn = turns.acquire_owned().await.ok()?;
        Some(Turn { _turn: turn, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_client_has_its_share_and_waits_or_is_refused_beyond() {
        let lookups = Lookups::default();
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let mut context = Context::from_waker(Waker::noop());
        let mut at_once = |client| match pin!(lookups.turn(0, client)).poll(&mut context) {
            Poll::Ready(turn) => turn,
            Poll::Pending => panic!("it waits"),
        };
        let mut turns: Vec<Turn> = (0..AT_ONCE).map(|_| at_once(one).unwrap()).collect();
        let mut waiting: Vec<_> = (AT_ONCE..MOST).map(|_| Box::pin(lookups.turn(0, one))).collect();
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().poll(&mut context).is_pending()));
        // One more is not even let wait, and others do not feel it.
        let turn =
            |lan, client| pin!(lookups.turn(lan, client)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(turn(0, one), Poll::Ready(None)));
        assert!(
            matches!(turn(0, other), Poll::Ready(Some(_))) && matches!(turn(1, one), Poll::Ready(Some(_)))
        );
        // Who waits longest is next.
        turns.pop();
        let next = waiting.remove(0).as_mut().poll(&mut context);
        assert!(matches!(next, Poll::Ready(Some(_))));
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().poll(&mut context).is_pending()));
        // Who goes away while it waits leaves its place too; and nothing is kept of whoever has no names.
        drop((waiting, turns, next));
        assert!(lookups.lock().is_empty());
    }
}
