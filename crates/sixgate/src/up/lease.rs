//! `sixgate lease`: an operator moves leases and ends them. What is said to have been done is on the disk.

use super::engine::Engine;
use crate::control::LeaseCommand;
use crate::view;
use sixgate_dhcp::identity::{Identity, Key};
use sixgate_dhcp::lease::Resource;
use sixgate_dhcp::server;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Most DUIDs of clones that are told of at one time.
const MOST_TOLD: usize = 8;

/// Commands that wait for the disk, by the ticket of their last change.
pub(crate) type Operating = BTreeMap<u64, (oneshot::Sender<String>, Vec<String>)>;

fn refuse(answer: oneshot::Sender<String>, why: &str) {
    drop(answer.send(serde_json::json!({ "error": why }).to_string()));
}

impl Engine {
    /// Does what an operator asks of leases. The answer leaves when it is on the disk.
    pub(crate) fn lease_command(&mut self, text: &str, answer: oneshot::Sender<String>) {
        let command = match serde_json::from_str::<LeaseCommand>(text) {
            Ok(command) => command,
            Err(error) => return refuse(answer, &error.to_string()),
        };
        if let LeaseCommand::Release { what } = &command
            && self.clear_delegation(what)
        {
            let view = view::Changed { changed: vec![what.clone()] };
            drop(answer.send(serde_json::to_string(&view).unwrap_or_default()));
            return;
        }
        let mut actions = server::Actions::new();
        let done = match &command {
            LeaseCommand::Release { what } => self.release_lease(what, &mut actions),
            LeaseCommand::Move { what, to } => self.move_leases(what, to, &mut actions),
        };
        match done {
            Ok((ticket, changed)) => {
                tracing::info!(command = ?command, "leases changed by hand");
                self.operating.insert(ticket, (answer, changed));
            }
            Err(why) => refuse(answer, &why),
        }
        // Some of several may have been moved before one was refused.
        self.server_actions(actions);
    }

    fn release_lease(
        &mut self,
        what: &str,
        actions: &mut server::Actions,
    ) -> Result<(u64, Vec<String>), String> {
        let resource: Resource = what.parse().map_err(|error| format!("{error}"))?;
        let ticket = self.server.release(resource, actions).map_err(|error| error.to_string())?;
        Ok((ticket, vec![resource.to_string()]))
    }

    fn move_leases(
        &mut self,
        what: &str,
        to: &str,
        actions: &mut server::Actions,
    ) -> Result<(u64, Vec<String>), String> {
        let now = self.now();
        let to: Identity = to.parse().map_err(|error| format!("{error}"))?;
        let resources = if let Ok(resource) = what.parse::<Resource>() {
            vec![resource]
        } else {
            let from: Identity = what.parse().map_err(|_| {
                format!(
                    "{what:?} is neither an address nor a prefix, and names no client: see `sixgate lease move --help`"
                )
            })?;
            self.server.leases().held_by(&from).map(|lease| lease.resource).collect()
        };
        if resources.is_empty() {
            return Err(format!("{what} holds nothing; `sixgate leases` shows who does"));
        }
        let mut last = 0;
        for resource in &resources {
            last = self.server.move_lease(now, *resource, &to, actions).map_err(|error| error.to_string())?;
        }
        Ok((last, resources.iter().map(Resource::to_string).collect()))
    }

    /// The store has taken a commit, or has not: tells whoever waits for it.
    pub(crate) fn operated(&mut self, ticket: u64, outcome: &Result<(), String>) {
        let Some((answer, changed)) = self.operating.remove(&ticket) else { return };
        match outcome {
            Ok(()) => {
                let view = view::Changed { changed };
                drop(answer.send(serde_json::to_string(&view).unwrap_or_default()));
            }
            Err(error) => {
                refuse(answer, &format!("nothing is changed, the store cannot be written: {error}"));
            }
        }
    }

    /// Machines that take each other's leases, because they were made from one image.
    pub(crate) fn clone_problems(&self) -> Vec<String> {
        let links = self.links.iter().map(|link| (&*link.name, link.key));
        let remote = self.config.subnets.iter().map(|subnet| (subnet.name.as_str(), subnet.key));
        let keys: BTreeMap<&str, Key> = links.chain(remote).collect();
        // Where clients are known by something else, each has its own.
        let by_duid = |link: &str| keys.get(link).is_none_or(|key| *key == Key::Duid);
        let told = self.server.clones(self.now()).filter(|(link, ..)| by_duid(link));
        told.take(MOST_TOLD)
            .map(|(link, duid, stations)| {
                let some: Vec<String> = stations.iter().take(3).map(ToString::to_string).collect();
                let more = if stations.len() > some.len() { ", ..." } else { "" };
                format!(
                    "{} machines on `{link}` have one DUID ({duid}), and take each other's addresses: {}{more}; \
                     they are copies of one image: let each make a DUID of its own, or set key = \"mac\" for `{link}`",
                    stations.len(),
                    some.join(", "),
                )
            })
            .collect()
    }
}
