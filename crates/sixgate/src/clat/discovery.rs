//! The prefix by DNS (RFC 7050), where no router tells it: asked beside everything else, since a resolver may take its time.

use sixgate_endpoint::nat64::{self, Prefix};
use sixgate_endpoint::resolve::SystemResolver;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

/// How soon to ask again where there is no answer, or no prefix in it.
const RETRY: Duration = Duration::from_secs(10);
/// How soon where there is one. RFC 7050 section 3 has it asked again before the record's time to live ends, which the system's
/// resolver does not tell; a zone's answer commonly lives for an hour, a DNS64's for some minutes.
const REFRESH: Duration = Duration::from_mins(5);

/// One question at a time.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    asked: Option<Receiver<Option<Vec<Prefix>>>>,
    next: Duration,
    found: Option<Prefix>,
}

impl Discovery {
    /// Forgets what was found: it was another network's.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Asks where it is time to, and tells what is known.
    pub(super) fn prefix(&mut self, now: Duration) -> Option<Prefix> {
        match self.asked.as_ref().map(Receiver::try_recv) {
            None if now >= self.next => self.ask(now),
            None | Some(Err(TryRecvError::Empty)) => {}
            Some(answer) => {
                self.asked = None;
                // No answer takes nothing away: the resolver is gone, not the translator.
                if let Ok(Some(prefixes)) = answer {
                    self.found =
                        self.found.filter(|known| prefixes.contains(known)).or(prefixes.first().copied());
                }
                self.next = now + if self.found.is_some() { REFRESH } else { RETRY };
            }
        }
        self.found
    }

    fn ask(&mut self, now: Duration) {
        let (tell, asked) = mpsc::channel();
        let ask = move || tell.send(nat64::discover(&SystemResolver).ok());
        match thread::Builder::new().name("ipv4only".to_owned()).spawn(ask) {
            Ok(_) => self.asked = Some(asked),
            Err(_) => self.next = now + RETRY,
        }
    }
}
