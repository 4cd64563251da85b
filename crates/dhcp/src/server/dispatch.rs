//! From a datagram to what is sent, or made durable, because of it.

use super::asker::Claim;
use super::message::Asked;
use super::relayed::Chain;
use super::reply::Answer;
use super::served::{self, Served};
use super::{Action, Actions, Asker, Datagram, Discard, Server, add};
use crate::balance::Verdict;
use sixgate_wire::dhcpv6::{Message, MessageType};
use std::sync::Arc;
use std::time::Duration;

impl Server {
    pub(super) fn answer(
        &mut self,
        now: Duration,
        datagram: &Datagram<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        let chain = Chain::read(datagram.bytes)?;
        let direct = chain.hops.is_empty();
        if !direct {
            self.directory.hears(datagram.link, datagram.source, &chain.hops)?;
            add(&mut self.counters.relayed);
        }
        self.is_balanced_here(chain.message)?;
        let link = self.place(datagram, &chain)?;
        let relay = chain.relay(datagram.source).map(|relay| self.directory.share(relay));
        let from = (datagram.source, datagram.link_layer);
        let here = if direct { link.name.clone() } else { self.directory.name(datagram.link) };
        let message = chain.message;
        let policy = Arc::clone(&self.policy);
        if message.kind() == MessageType::ADDR_REG_INFORM {
            let asker = Asker::new(now, &link, &chain, from, None, relay);
            Served::new(&policy, &asker, &[]).map_err(|rule| self.deny(rule))?;
            return self.register(datagram, &chain, &asker, actions);
        }
        // RFC 9915 section 13: clients on the link use their link-local address; it is also the next hop of routes.
        if direct && !datagram.source.is_unicast_link_local() {
            return Err(Discard::Source);
        }
        let asked = Asked::read(message, &self.duid, self.limits.associations)?;
        let asker = Asker::new(now, &link, &chain, from, asked.client.as_ref(), relay);
        let name = served::reserved_name(&policy, &asker, &asked.associations);
        let asker = Asker { hostname: name.or_else(|| asked.hostname()), ..asker };
        let served = Served::new(&policy, &asker, &asked.associations).map_err(|rule| self.deny(rule))?;
        let count = match asked.kind {
            MessageType::SOLICIT => &mut self.counters.solicit,
            MessageType::REQUEST => &mut self.counters.request,
            MessageType::CONFIRM => &mut self.counters.confirm,
            MessageType::RENEW => &mut self.counters.renew,
            MessageType::REBIND => &mut self.counters.rebind,
            MessageType::RELEASE => &mut self.counters.release,
            MessageType::DECLINE => &mut self.counters.decline,
            _ => &mut self.counters.information_request,
        };
        *count = count.saturating_add(1);
        let ticket = self.flight.ticket();
        let answered = match &asked.client {
            Some(duid) if asked.kind != MessageType::INFORMATION_REQUEST => {
                let claim = Claim::new(&asker, duid, served).ok_or(Discard::Identity);
                claim.and_then(|claim| self.answer_client(&claim, &asked, ticket))
            }
            _ => Ok(Answer { configuration: true, ..Answer::new(MessageType::REPLY) }),
        };
        let answer = answered.and_then(|answer| {
            let mut bytes = answer.encode(&asked, &self.duid, &link, &served)?;
            if answer.configuration {
                self.add_supplied(&chain, &asked, &mut bytes);
            }
            let agrees = self.offer_reconfigure(now, &asked, &answer, &mut bytes);
            Ok((answer.kind, answer.binds(), agrees, chain.reply(here, datagram, bytes)?))
        });
        let (kind, binds, agrees, reply) = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                self.unstage(ticket);
                return Err(reason);
            }
        };
        if let Some(client) = &asked.client {
            self.came_back(client, asked.kind);
            if binds && asked.refuses_reconfigure() {
                self.disagree(client, actions);
            } else if binds {
                self.learn_way(now, client, agrees, || chain.way(datagram), actions);
            }
        }
        let changes = self.flight.changes(ticket);
        if changes.is_empty() {
            let count = if kind == MessageType::ADVERTISE {
                &mut self.counters.advertise
            } else {
                &mut self.counters.reply
            };
            *count = count.saturating_add(1);
            actions.push(Action::Reply(reply));
        } else {
            self.flight.hold(ticket, reply);
            actions.push(Action::Commit { ticket, changes });
        }
        Ok(())
    }

    /// Drops a message of another server's client before anything else of it is looked at.
    fn is_balanced_here(&mut self, message: Message<'_>) -> Result<(), Discard> {
        match self.balance.map(|balance| balance.judge_v6(message)) {
            Some(Verdict::Others) => return Err(Discard::Bucket),
            Some(Verdict::Late) => add(&mut self.counters.late),
            Some(Verdict::Ours) | None => {}
        }
        Ok(())
    }
}
