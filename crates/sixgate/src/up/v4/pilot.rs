//! Who is told to do without IPv4: what the file says, and `sixgate pilot` in its place until the file says something else.

use super::V4;
use super::view::error;
use crate::config;
use crate::control::PilotCommand;
use crate::up::engine::Engine;
use serde::{Deserialize, Serialize};
use sixgate_dhcp::v4::{Actions, Pilot, Place, Roster, RosterChange, Selector};
use sixgate_wire::dhcpv4::{ClientId, ClientIdKind, Hardware, Message, OptionCode};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Setting that holds [`Record`].
pub(super) const SETTING: &str = "pilot";

/// Clients remembered beyond those of the roster, before they are looked through.
const SLACK: usize = 1024;

/// Changes of the roster that may wait for the store: several times as many as it has clients, all of whom may go at once.
const MOST_PENDING: usize = 65_536;

/// A choice in words: selectors by their text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) percent: u8,
    pub(super) only: Vec<String>,
    pub(super) except: Vec<String>,
}

impl Told {
    fn of(pilot: &config::Pilot) -> Self {
        let words = |list: &[Selector]| list.iter().map(Selector::to_string).collect();
        Self { percent: pilot.percent, only: words(&pilot.only), except: words(&pilot.except) }
    }

    /// As the core takes it.
    pub(super) fn pilot(&self, key: [u8; 16]) -> Pilot {
        // All were read before they were kept.
        let read = |list: &[String]| list.iter().filter_map(|text| text.parse().ok()).collect();
        Pilot { percent: self.percent, key, only: read(&self.only), except: read(&self.except) }
    }
}

/// What outlives a restart: what holds, and what the file said then. A file that says the same still does not undo a command; one
/// that says something else does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    file: Told,
    now: Told,
}

/// What holds now.
#[derive(Debug)]
pub(super) struct Choice {
    record: Record,
    /// The record was refused by the store, and is to be handed in again.
    pub(super) unwritten: bool,
}

impl Choice {
    /// What holds by the file and by what was kept, and what held when that was kept: the roster belongs to it.
    pub(super) fn new(file: &config::Pilot, kept: Option<&Vec<u8>>) -> (Self, Told) {
        let file = Told::of(file);
        let kept: Option<Record> = kept.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let before = kept.as_ref().map_or_else(|| file.clone(), |kept| kept.now.clone());
        let now = kept.filter(|kept| kept.file == file).map_or_else(|| file.clone(), |kept| kept.now);
        (Self { record: Record { file, now }, unwritten: false }, before)
    }

    pub(super) fn now(&self) -> &Told {
        &self.record.now
    }

    pub(super) fn file(&self) -> &Told {
        &self.record.file
    }

    /// Whether a command says something else than the file.
    pub(super) fn is_commanded(&self) -> bool {
        self.record.now != self.record.file
    }

    /// The file was read again.
    fn reload(&mut self, file: &config::Pilot) {
        let file = Told::of(file);
        if file != self.record.file {
            self.record = Record { now: file.clone(), file };
        }
    }

    /// Does what a command says, or says what is wrong with it.
    fn command(&mut self, command: PilotCommand) -> Result<(), String> {
        let mut now = if command.file { self.record.file.clone() } else { self.record.now.clone() };
        if let Some(percent) = command.percent {
            if percent > 100 {
                return Err(format!(
                    "{percent} is no share in percent: 0 (nobody) to 100 (everybody who asks)"
                ));
            }
            now.percent = percent;
        }
        let read = |texts: Vec<String>| -> Result<Vec<String>, String> {
            let each = texts.iter().map(|text| text.parse::<Selector>().map(|s| s.to_string()));
            each.collect::<Result<_, _>>().map_err(|error| error.to_string())
        };
        if let Some(only) = command.only {
            now.only = read(only)?;
        }
        if let Some(except) = command.except {
            now.except = read(except)?;
        }
        self.record.now = now;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.record).unwrap_or_default()
    }

    /// The record, if it was refused.
    pub(super) fn take_unwritten(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.unwritten).then(|| self.encode())
    }
}

/// A client that asked for option 108, as it last did.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) client: ClientId,
    pub(super) hardware: Hardware,
    pub(super) hostname: Option<String>,
    pub(super) lan: String,
}

impl Seen {
    /// How `--only` and `--except` name it.
    pub(super) fn selector(&self) -> Selector {
        match self.client.kind() {
            ClientIdKind::Duid { duid, .. } => Selector::Host(duid),
            ClientIdKind::Hardware(hardware) => match hardware.as_ethernet() {
                Some(address) => Selector::Hardware(address),
                None => Selector::Id(self.client.clone()),
            },
            ClientIdKind::Other(_) => Selector::Id(self.client.clone()),
        }
    }
}

impl V4 {
    /// Remembers who asks, as long as the roster does.
    pub(super) fn note(&mut self, lan: &str, message: &Message<'_>) {
        let options = message.options();
        if !options.requested().contains(&OptionCode::IPV6_ONLY_PREFERRED) {
            return;
        }
        let hardware = message.header().hardware;
        let client = match options.get(OptionCode::CLIENT_ID).as_deref().map(ClientId::new) {
            Some(Ok(client)) => client,
            Some(Err(_)) => return,
            None if hardware.address().is_empty() => return,
            None => ClientId::hardware(hardware),
        };
        let place = self.server.pilot().place(&client);
        if !self.server.roster().contains(place) {
            self.seen.remove(&place);
            return;
        }
        let hostname = options.text(OptionCode::HOST_NAME).filter(|name| {
            name.len() <= 253 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        });
        let hostname = hostname.or_else(|| self.seen.remove(&place).and_then(|seen| seen.hostname));
        self.seen.insert(place, Seen { client, hardware, hostname, lan: lan.to_owned() });
        if self.seen.len() > self.server.roster().len() + SLACK {
            let roster = self.server.roster();
            self.seen.retain(|place, _| roster.contains(*place));
        }
    }

    /// Keeps changes of the roster until the store takes them; of each client the last.
    pub(super) fn keep(&mut self, changes: Vec<RosterChange>) {
        for change in changes {
            let (RosterChange::Put { place, .. } | RosterChange::Remove(place)) = change;
            self.roster.insert(place, change);
        }
        limit(&mut self.roster, self.server.roster());
    }

    /// The places of those that were seen.
    pub(super) fn seen_at(&self, place: Place) -> Option<&Seen> {
        self.seen.get(&place)
    }
}

/// While the store takes nothing, strangers come and go. Beyond what a working store ever leaves here, those who have gone are
/// left out: a record on the disk that should have gone is one that makes room after the next start.
fn limit(pending: &mut BTreeMap<Place, RosterChange>, roster: &Roster) {
    if pending.len() > MOST_PENDING {
        pending.retain(|place, _| roster.contains(*place));
    }
}

impl Engine {
    /// Lets the server follow the choice, and makes both durable together with what it means for the roster.
    pub(crate) fn set_pilot(&mut self, answer: Option<oneshot::Sender<String>>) {
        let pilot = self.v4.choice.now().pilot(self.v4.server.pilot().key);
        let mut actions = Actions::new();
        self.v4.server.set_pilot(pilot, &mut actions);
        for action in actions {
            if let sixgate_dhcp::v4::Action::Roster(changes) = action {
                self.v4.keep(changes);
            }
        }
        let record = self.v4.choice.encode();
        self.record_v4(Some(record), answer);
    }

    /// The configuration was read again.
    pub(crate) fn reload_v4(&mut self) {
        let before = self.v4.choice.now().clone();
        self.v4.choice.reload(&self.config.pilot);
        if *self.v4.choice.now() != before {
            tracing::info!(percent = self.v4.choice.now().percent, "the pilot is what the file says");
        }
        self.set_pilot(None);
    }

    /// Somebody says who is to be told. The answer leaves when it is on the disk.
    pub(crate) fn pilot_command(&mut self, text: &str, answer: oneshot::Sender<String>) {
        let command = serde_json::from_str::<PilotCommand>(text).map_err(|error| error.to_string());
        match command.and_then(|command| self.v4.choice.command(command)) {
            Ok(()) => {
                let now = self.v4.choice.now();
                tracing::info!(
                    percent = now.percent,
                    only = now.only.len(),
                    except = now.except.len(),
                    "pilot changed"
                );
                self.set_pilot(Some(answer));
            }
            Err(wrong) => drop(answer.send(error(&wrong))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(percent: u8) -> config::Pilot {
        config::Pilot { percent, ..config::Pilot::default() }
    }

    fn percent(percent: u8) -> PilotCommand {
        PilotCommand { percent: Some(percent), ..PilotCommand::default() }
    }

    #[test]
    fn a_command_holds_until_the_file_says_something_else() {
        let (mut choice, before) = Choice::new(&file(100), None);
        assert_eq!((choice.now().percent, before.percent, choice.is_commanded()), (100, 100, false));
        choice.command(percent(5)).unwrap();
        choice.reload(&file(100));
        assert_eq!((choice.now().percent, choice.is_commanded()), (5, true));
        let record = choice.encode();
        // After a restart with the same file, and with another.
        let (same, before) = Choice::new(&file(100), Some(&record));
        assert_eq!((same.now().percent, before.percent, same.is_commanded()), (5, 5, true));
        let (other, before) = Choice::new(&file(50), Some(&record));
        assert_eq!((other.now().percent, before.percent, other.is_commanded()), (50, 5, false));
        // And without one.
        choice.reload(&file(10));
        assert_eq!((choice.now().percent, choice.is_commanded()), (10, false));
        choice.command(percent(5)).unwrap();
        choice.command(PilotCommand { file: true, ..PilotCommand::default() }).unwrap();
        assert_eq!((choice.now().percent, choice.is_commanded()), (10, false));
        // A record that cannot be read is none.
        assert_eq!(Choice::new(&file(7), Some(&b"{".to_vec())).0.now().percent, 7);
    }

    #[test]
    fn a_store_that_takes_nothing_costs_bounded_memory() {
        let roster = Roster::restored((0..100).map(|place| (Place(place), true)));
        let mut pending = BTreeMap::new();
        for place in 0..100_000 {
            pending.insert(Place(place), RosterChange::Remove(Place(place)));
            if place < 100 {
                pending.insert(Place(place), RosterChange::Put { place: Place(place), member: true });
            }
            limit(&mut pending, &roster);
            assert!(pending.len() <= MOST_PENDING);
        }
        let puts = pending.values().filter(|change| matches!(change, RosterChange::Put { .. })).count();
        assert_eq!(puts, 100, "who is there is not forgotten");
    }

    #[test]
    fn lists_are_read_before_they_hold() {
        let (mut choice, _) = Choice::new(&file(100), None);
        let only = |texts: &[&str]| PilotCommand {
            only: Some(texts.iter().map(|text| (*text).to_owned()).collect()),
            ..PilotCommand::default()
        };
        choice.command(only(&["02:00:5E:10:00:01"])).unwrap();
        assert_eq!(choice.now().only, ["02:00:5e:10:00:01"]);
        assert!(choice.command(only(&["laptop"])).unwrap_err().contains("names no client"));
        assert!(choice.command(percent(101)).is_err());
        assert_eq!((choice.now().only.len(), choice.now().percent), (1, 100));
        choice.command(only(&[])).unwrap();
        assert!(!choice.is_commanded());
    }
}
