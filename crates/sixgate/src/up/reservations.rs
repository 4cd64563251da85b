//! Who gets what, and reservations made while running. They are settings in the store, one each, and hold before what the
//! file says; the answer to a command leaves when it is on disk.

use super::engine::Engine;
use super::problems::Matter;
use crate::reservation::Draft;
use crate::view;
use serde::Deserialize;
use sixgate_dhcp::lease::{Lease, LeaseState, Resource};
use sixgate_dhcp::reservation::{Origin, Owner, Reservation, Reservations};
use std::collections::{BTreeMap, HashMap};
use tokio::sync::oneshot;

/// Settings that hold reservations begin with it.
const SETTING: &str = "reservation.";

/// What was reserved while running.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    drafts: BTreeMap<String, Draft>,
    /// Who waits for the disk, by the token of what is to be written.
    waiting: HashMap<u64, oneshot::Sender<String>>,
}

/// What the control socket is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Command {
    Add(Draft),
    Remove(Draft),
}

/// The name of the setting for an owner on a link, or everywhere.
fn key(owner: &Owner, lan: Option<&str>) -> String {
    format!("{SETTING}{owner}@{}", lan.unwrap_or_default())
}

impl Engine {
    /// Takes what was reserved before the last stop.
    pub(crate) fn start_policy(&mut self, settings: &BTreeMap<String, Vec<u8>>) {
        for (key, value) in
            settings.range(SETTING.to_owned()..).take_while(|(key, _)| key.starts_with(SETTING))
        {
            match serde_json::from_slice(value) {
                Ok(draft) => drop(self.kept.drafts.insert(key.clone(), draft)),
                Err(error) => {
                    tracing::error!(key, %error, "a reservation on disk cannot be read: it is left alone");
                }
            }
        }
        self.set_policy();
    }

    /// Gives the server what the file and the commands say.
    pub(crate) fn set_policy(&mut self) {
        let now = self.now();
        let mut policy = self.config.served.policy.clone();
        let mut all = Reservations::default();
        let mut left_out = self.config.served.left_out.clone();
        for draft in self.kept.drafts.values() {
            let read = draft.read(Origin::Command).map_err(|wrong| wrong.sentence());
            if let Err(error) = read.and_then(|row| all.insert(row).map_err(|conflict| conflict.to_string()))
            {
                left_out.push(format!("a reservation made while running is left out: {error}"));
            }
        }
        for (_, row) in policy.reservations.iter() {
            if let Err(conflict) = all.insert(row.clone()) {
                let file = self.config.served.file.as_deref().unwrap_or(std::path::Path::new(""));
                let place = format!("{}: {}", file.display(), row.origin);
                left_out.push(format!("{place}: {} is left out: {conflict}", row.owner));
            }
        }
        policy.reservations = all;
        let mut actions = Vec::new();
        self.server.set_policy(now, policy, &mut actions);
        self.server_actions(actions);
        self.problems.replace(Matter::Reservations, left_out);
    }

    /// Somebody reserves something, or takes that back.
    pub(crate) fn reservation_command(&mut self, text: &str, answer: oneshot::Sender<String>) {
        let command = serde_json::from_str::<Command>(text).map_err(|error| error.to_string());
        let done = command.and_then(|command| match command {
            Command::Add(draft) => self.reserve(draft),
            Command::Remove(draft) => self.unreserve(&draft),
        });
        match done {
            Ok(token) => drop(self.kept.waiting.insert(token, answer)),
            Err(error) => drop(answer.send(serde_json::json!({ "error": error }).to_string())),
        }
    }

    fn reserve(&mut self, draft: Draft) -> Result<u64, String> {
        let row = draft.read(Origin::Command).map_err(|wrong| wrong.sentence())?;
        if let Some(lan) = row.link.as_deref().filter(|lan| !self.config.has_link(lan)) {
            return Err(format!("there is no LAN `{lan}`; see `sixgate status`"));
        }
        let key = key(&row.owner, row.link.as_deref());
        if self.kept.drafts.contains_key(&key) {
            return Err(format!("{} has a reservation there already: remove it first", row.owner));
        }
        let owner = row.owner.clone();
        let mut actions = Vec::new();
        let id = self.server.reserve(row, &mut actions);
        self.server_actions(actions);
        let id = id.map_err(|conflict| conflict.to_string())?;
        let value = serde_json::to_vec(&draft).map_err(|error| error.to_string())?;
        let Some(token) = self.set(&key, Some(value)) else {
            let mut actions = Vec::new();
            self.server.unreserve(id, &mut actions);
            self.server_actions(actions);
            return Err("the store takes no more, so nothing is reserved; see `sixgate status`".to_owned());
        };
        tracing::info!(%owner, addresses = draft.address.join(" "), prefixes = draft.prefix.join(" "), "reserved");
        self.kept.drafts.insert(key, draft);
        Ok(token)
    }

    fn unreserve(&mut self, draft: &Draft) -> Result<u64, String> {
        let owner = draft.owner().map_err(|wrong| wrong.sentence())?;
        let lan = draft.lan.as_deref().filter(|lan| !lan.is_empty());
        let key = key(&owner, lan);
        let same = |row: &Reservation| row.owner == owner && row.link.as_deref() == lan;
        let find = |origin: fn(Origin) -> bool| {
            let mut rows = self.server.policy().reservations.iter();
            rows.find(|(_, row)| same(row) && origin(row.origin)).map(|(id, _)| id)
        };
        if !self.kept.drafts.contains_key(&key) {
            let remedy = match (find(|origin| origin != Origin::Command), &self.config.served.file) {
                (Some(_), Some(file)) => {
                    format!("it stands in {}: take the line out, and reload", file.display())
                }
                _ => "see `sixgate reservation list`; a reservation on one LAN takes --lan".to_owned(),
            };
            return Err(format!("{owner} has no reservation that was made while running: {remedy}"));
        }
        let id = find(|origin| origin == Origin::Command);
        let Some(token) = self.set(&key, None) else {
            return Err("the store takes no more, so the reservation stays; see `sixgate status`".to_owned());
        };
        self.kept.drafts.remove(&key);
        let mut actions = Vec::new();
        if let Some(id) = id {
            self.server.unreserve(id, &mut actions);
        }
        self.server_actions(actions);
        tracing::info!(%owner, "no longer reserved");
        Ok(token)
    }

    /// What a command changed is on disk, or is not.
    pub(crate) fn reservation_stored(&mut self, token: u64, outcome: &Result<(), String>) {
        let Some(answer) = self.kept.waiting.remove(&token) else { return };
        let json = match outcome {
            Ok(()) => serde_json::json!({ "done": true }),
            Err(error) => {
                let error = format!("it holds, but is not on disk yet, and will be tried again: {error}");
                serde_json::json!({ "error": error })
            }
        };
        let _ = answer.send(json.to_string());
    }

    /// All reservations, and who has what is reserved.
    pub(crate) fn reservations_view(&self) -> view::Reservations {
        let now = self.now();
        let holder = |owner: &Owner, resource: Resource| {
            let lease = self.server.leases().get(resource)?;
            let valid = super::status::left(now, lease.valid_until);
            let state = match lease.state {
                LeaseState::Bound if is_owner(owner, &lease) => return None,
                state => state.to_string(),
            };
            Some(view::Holder { resource: resource.to_string(), duid: lease.duid.to_string(), state, valid })
        };
        let row = |(_, row): (u32, &Reservation)| view::Reservation {
            owner: row.owner.to_string(),
            lan: row.link.as_ref().map(ToString::to_string),
            resources: row.resources.iter().map(ToString::to_string).collect(),
            hostname: row.hostname.clone(),
            options: row.options.iter().map(|given| sixgate_dhcp::options::name_of(given.code())).collect(),
            origin: row.origin.to_string(),
            others: row.resources.iter().filter_map(|resource| holder(&row.owner, *resource)).collect(),
        };
        view::Reservations {
            file: self.config.served.file.as_ref().map(|file| file.display().to_string()),
            rows: self.server.policy().reservations.iter().map(row).collect(),
            left_out: self.problems.about(&Matter::Reservations).to_vec(),
        }
    }

    /// Who is not served, and how often that was the case.
    pub(crate) fn policy_view(&self) -> Option<view::Policy> {
        let policy = self.server.policy();
        let view = view::Policy {
            classes: policy.classes().iter().map(|class| class.name.to_string()).collect(),
            denied: self.server.denied().collect(),
            reservations: policy.reservations.len() as u64,
        };
        let empty = view.classes.is_empty() && view.denied.is_empty() && view.reservations == 0;
        (!empty).then_some(view)
    }
}

/// Whether a lease is held by whom it is reserved for.
fn is_owner(owner: &Owner, lease: &Lease) -> bool {
    let line = lease.line.as_ref();
    match owner {
        Owner::Association(duid, iaid) => lease.duid == *duid && lease.iaid == *iaid,
        Owner::Duid(duid) => lease.duid == *duid,
        Owner::Mac(mac) => lease.link_layer.is_some_and(|known| known.mac.as_bytes() == &**mac),
        Owner::Subscriber(name) => line.and_then(|line| line.subscriber_id()) == Some(name),
        Owner::Remote(name) => line.and_then(|line| line.remote_id()) == Some(name),
        Owner::Interface(name) => line.and_then(|line| line.interface_id()) == Some(name),
    }
}
