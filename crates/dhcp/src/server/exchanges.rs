//! What each kind of message does to the associations that it names, and what is said of them (RFC 9915 section 18.3).

use super::asker::Claim;
use super::bind::{self, Bind};
use super::config::Told;
use super::links::on_link;
use super::message::{Asked, Association};
use super::reply::{Answer, Outcome};
use super::{Discard, Server};
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, Resource};
use sixgate_wire::dhcpv6::{MessageType, OptionCode, StatusCode};
use smallvec::SmallVec;
use std::time::Duration;

impl Server {
    pub(super) fn answer_client(
        &mut self,
        asker: &Claim<'_>,
        asked: &Asked<'_>,
        ticket: u64,
    ) -> Result<Answer, Discard> {
        let reply = || Answer { configuration: true, ..Answer::new(MessageType::REPLY) };
        if asked.kind != MessageType::CONFIRM {
            self.flight.held_up()?;
        }
        // The table shows changes that may yet fail. What is told from it must not outlive them; an Advertise binds nobody,
        // and a Confirm is about the link alone.
        let committing = asked.associations.iter().any(|ia| self.is_committing(asker, ia));
        if committing && !matches!(asked.kind, MessageType::SOLICIT | MessageType::CONFIRM) {
            return Err(Discard::Committing);
        }
        match asked.kind {
            MessageType::SOLICIT => {
                let rapid_commit = self.rapid_commit && !committing;
                if rapid_commit && asked.message.options().get(OptionCode::RAPID_COMMIT).is_some() {
                    let outcomes = self.assign_all(asker, asked, Bind::Commit(ticket));
                    if outcomes.iter().any(Outcome::is_useful) {
                        return Ok(Answer { outcomes, rapid_commit: true, ..reply() });
                    }
                }
                let outcomes = self.assign_all(asker, asked, Bind::Offer);
                let advertise = Answer::new(MessageType::ADVERTISE);
                Ok(Answer { outcomes, preference: self.preference, configuration: true, ..advertise })
            }
            MessageType::REQUEST => {
                let outcomes = asked.associations.iter().map(|ia| self.request(asker, ia, ticket)).collect();
                Ok(Answer { outcomes, ..reply() })
            }
            MessageType::CONFIRM => confirm(asker, asked),
            MessageType::RELEASE | MessageType::DECLINE => {
                let declined = asked.kind == MessageType::DECLINE;
                let outcomes = asked
                    .associations
                    .iter()
                    .filter_map(|ia| self.give_up(asker, ia, declined, ticket))
                    .collect();
                let words = if declined { "declined" } else { "released" };
                let status = Some((StatusCode::SUCCESS, words));
                Ok(Answer { status, outcomes, ..Answer::new(MessageType::REPLY) })
            }
            _ => {
                let rebind = asked.kind == MessageType::REBIND;
                let outcomes: SmallVec<_> = asked
                    .associations
                    .iter()
                    .filter_map(|ia| self.extend_all(asker, ia, rebind, ticket))
                    .collect();
                // RFC 9915 section 18.3.5: silence about what may be another server's.
                let silent = outcomes.is_empty() && (rebind || !asked.associations.is_empty());
                if silent { Err(Discard::Silent) } else { Ok(Answer { outcomes, ..reply() }) }
            }
        }
    }

    fn assign_all(&mut self, asker: &Claim<'_>, asked: &Asked<'_>, bind: Bind) -> SmallVec<[Outcome; 2]> {
        asked.associations.iter().map(|ia| self.give(asker, ia, bind)).collect()
    }

    /// RFC 9915 section 18.3.2.
    fn request(&mut self, asker: &Claim<'_>, ia: &Association, ticket: u64) -> Outcome {
        let off_link = |resource: &Resource| on_link(asker, *resource) == Some(false);
        if ia.kind == Kind::Address && ia.listed.iter().any(off_link) {
            let words = "an address asked for does not belong to this link";
            return Outcome::status(ia.kind, ia.iaid, StatusCode::NOT_ON_LINK, words);
        }
        self.give(asker, ia, Bind::Commit(ticket))
    }

    /// What the association has now. A client that solicits or requests knows of nothing to be told the end of.
    fn give(&mut self, asker: &Claim<'_>, ia: &Association, bind: Bind) -> Outcome {
        let mut outcome = self.assign(asker, ia, bind);
        outcome.leases.retain(|(_, told)| told.valid > 0);
        outcome
    }

    /// RFC 9915 sections 18.3.4 and 18.3.5.
    fn extend_all(
        &mut self,
        asker: &Claim<'_>,
        ia: &Association,
        rebind: bool,
        ticket: u64,
    ) -> Option<Outcome> {
        let pools = bind::gives(asker.link, ia.kind);
        if !pools && asker.served.resources(ia).next().is_none() {
            // What is held stays as it is: after a restart the links may come before their prefixes do.
            let known = !self.holdings(asker, ia).is_empty();
            let words = "nothing is held under this association";
            let unbound = || Outcome::status(ia.kind, ia.iaid, StatusCode::NO_BINDING, words);
            return (!rebind && !known).then(unbound);
        }
        let mut outcome = self.assign(asker, ia, Bind::Commit(ticket));
        if !pools && outcome.leases.is_empty() {
            return None;
        }
        // Without pools, nothing is said of what is not reserved.
        for &resource in ia.listed.iter().filter(|_| pools) {
            if !outcome.leases.iter().any(|(known, _)| *known == resource) {
                outcome.leases.push((resource, Told::NOTHING));
            }
        }
        if !ia.listed.is_empty() {
            // The zero lifetimes say it all.
            outcome.status = None;
        }
        Some(outcome)
    }

    /// RFC 9915 sections 18.3.7 and 18.3.8.
    fn give_up(
        &mut self,
        asker: &Claim<'_>,
        ia: &Association,
        declined: bool,
        ticket: u64,
    ) -> Option<Outcome> {
        // By whom it is held: a box that was replaced cannot end what its successor has.
        let own = |lease: &Lease| lease.duid == *asker.duid;
        let held: Vec<Lease> = self.table.held(&asker.identity, ia.iaid, ia.kind).filter(own).collect();
        if held.is_empty() {
            let words = "nothing is held under this association";
            return Some(Outcome::status(ia.kind, ia.iaid, StatusCode::NO_BINDING, words));
        }
        for lease in held.into_iter().filter(|lease| ia.listed.contains(&lease.resource)) {
            match (declined, lease.resource) {
                (false, resource) => self.stage(ticket, LeaseChange::Remove(resource)),
                (true, Resource::Address(_)) => self.quarantine(asker.now, lease, ticket),
                // Only addresses can be declined.
                (true, Resource::Prefix(_)) => {}
            }
        }
        None
    }

    /// Keeps a declined address from everybody for a while.
    fn quarantine(&mut self, now: Duration, lease: Lease, ticket: u64) {
        if self.table.len_in(LeaseState::Declined) >= self.limits.declined.max(1)
            && let Some(first) = self.table.first_in(LeaseState::Declined)
        {
            self.counters.declined_evicted = self.counters.declined_evicted.saturating_add(1);
            self.stage(ticket, LeaseChange::Remove(first));
        }
        let valid_until = now.saturating_add(self.limits.decline_hold);
        let state = LeaseState::Declined;
        self.stage(ticket, LeaseChange::Put(Lease { state, preferred_until: now, valid_until, ..lease }));
    }
}

/// RFC 9915 section 18.3.3.
fn confirm(asker: &Claim<'_>, asked: &Asked<'_>) -> Result<Answer, Discard> {
    let addresses = asked.associations.iter().filter(|ia| ia.kind == Kind::Address).flat_map(|ia| &ia.listed);
    let mut answer = None;
    for &address in addresses {
        // Neither yes nor no can be said of a link without pools.
        let fits = on_link(asker, address).ok_or(Discard::Silent)?;
        answer = Some(answer.unwrap_or(true) && fits);
    }
    let status = match answer {
        Some(true) => (StatusCode::SUCCESS, "all addresses belong to this link"),
        Some(false) => (StatusCode::NOT_ON_LINK, "an address does not belong to this link"),
        None => return Err(Discard::Silent),
    };
    Ok(Answer { status: Some(status), ..Answer::new(MessageType::REPLY) })
}
