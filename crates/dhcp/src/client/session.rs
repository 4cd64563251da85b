//! How the client goes from one state to the next: what is due, and what an answer means (RFC 9915 section 18.2).

use super::answer::Answer;
use super::apply::{Applied, Taking};
use super::binding::Binding;
use super::leases::Leases;
use super::message::Draft;
use super::retransmit::{Due, Exchange, Parameters};
use super::{Action, Actions, Client, State, reconfigure};
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, MessageType, OptionCode, StatusCode};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Most steps in one call. Each step ends or begins an exchange, so that few are ever due at one time.
const MAX_STEPS: usize = 16;
/// The longest wait after servers refused, or gave addresses that were in use, again and again.
const MAX_BACKOFF: u64 = 3600;

impl Client {
    /// Does all that is due at `now`.
    pub(super) fn advance(&mut self, now: Duration, actions: &mut Actions) {
        for _ in 0..MAX_STEPS {
            if !self.step(now, actions) {
                return;
            }
        }
    }

    /// Does one thing that is due; whether there was one.
    fn step(&mut self, now: Duration, actions: &mut Actions) -> bool {
        if self.binding.as_ref().is_some_and(|b| b.has_leases() && b.next_expiry() <= now) {
            self.expire(now, actions);
            return true;
        }
        if let Some(binding) = self.binding.as_ref().filter(|b| b.has_leases()) {
            let (t1, t2) = (binding.t1, binding.t2);
            let between = matches!(self.state, State::Bound | State::Informing);
            if now >= t2 && (between || self.state == State::Renewing) {
                self.rebind(now);
                return true;
            }
            if now >= t1 && between {
                self.renew(now);
                return true;
            }
        }
        if self.state == State::Informed && self.binding.as_ref().is_none_or(|b| now >= b.refresh_at) {
            self.inform(now, None, true);
            return true;
        }
        match self.exchange.as_ref().and_then(|exchange| exchange.due(now)) {
            None => false,
            Some(Due::GiveUp) => {
                self.give_up(now, actions);
                true
            }
            // The time for collecting is over: the best offer is taken (RFC 9915 section 18.2.1).
            Some(Due::Send) if self.state == State::Soliciting && self.best.is_some() => {
                self.request_best(now);
                true
            }
            Some(Due::Send) => {
                self.transmit(now, actions);
                true
            }
        }
    }

    fn transmit(&mut self, now: Duration, actions: &mut Actions) {
        let Some(exchange) = &mut self.exchange else { return };
        if let Err(later) = self.bucket.take(now) {
            self.counters.held_back += 1;
            exchange.next = later;
            return;
        }
        let draft = Draft {
            config: &self.config,
            exchange,
            binding: self.binding.as_ref(),
            hint_again: self.hint_again,
        };
        // Only a configuration of hundreds of associations has no room; it is then as if the message were lost.
        if let Ok(bytes) = draft.write(now) {
            self.counters.sent += 1;
            actions.push(Action::Send { bytes });
        }
        exchange.sent(now, &mut self.rng);
    }

    fn expire(&mut self, now: Duration, actions: &mut Actions) {
        let Some(binding) = &mut self.binding else { return };
        let before = binding.addresses.len() + binding.prefixes.len();
        binding.expire(now);
        let ended = before - binding.addresses.len() - binding.prefixes.len();
        self.counters.expired += ended as u64;
        self.announce(now, actions);
    }

    /// Tells the owner what is held after a change; with nothing left, looks for servers again.
    pub(super) fn announce(&mut self, now: Duration, actions: &mut Actions) {
        match &self.binding {
            Some(binding) if binding.has_leases() || self.config.is_stateless() => {
                actions.push(Action::Save(binding.clone()));
                actions.push(Action::Changed(binding.clone()));
            }
            _ => self.lose(now, actions),
        }
    }

    /// Nothing is held any longer.
    fn lose(&mut self, now: Duration, actions: &mut Actions) {
        self.binding = None;
        actions.push(Action::Lost);
        let extending = matches!(
            self.state,
            State::Bound
                | State::Renewing
                | State::Rebinding
                | State::Confirming
                | State::Informing
                | State::Informed
        );
        if extending {
            self.solicit(now);
        }
    }

    /// Begins with what is held, or from nothing.
    pub(super) fn begin(&mut self, now: Duration) {
        let held = self.binding.as_ref();
        if self.config.is_stateless() {
            self.inform(now, None, true);
        } else if held.is_some_and(|b| !b.prefixes.is_empty()) {
            // With prefixes, Confirm would not do; the times are Confirm's (RFC 9915 section 18.2.12).
            self.enter(State::Confirming, MessageType::REBIND, Parameters::CONFIRM, None, now);
        } else if held.is_some_and(Binding::has_leases) {
            self.enter(State::Confirming, MessageType::CONFIRM, Parameters::CONFIRM, None, now);
        } else {
            self.solicit(now);
        }
    }

    fn enter(
        &mut self,
        state: State,
        kind: MessageType,
        parameters: Parameters,
        server: Option<Duid>,
        from: Duration,
    ) -> &mut Exchange {
        self.state = state;
        self.best = None;
        self.exchange.insert(Exchange::new(kind, parameters, server, from, &mut self.rng))
    }

    fn rest(&mut self, state: State) {
        self.state = state;
        self.best = None;
        self.exchange = None;
    }

    pub(super) fn solicit(&mut self, from: Duration) {
        let parameters = Parameters::solicit(self.sol_max_rt);
        self.enter(State::Soliciting, MessageType::SOLICIT, parameters, None, from);
    }

    /// Looks for servers again after one refused; the longer the more often that happened, so that a server that offers
    /// what it does not give is not asked without end.
    fn solicit_after_refusal(&mut self, now: Duration) {
        self.counters.refused += 1;
        let from = self.backoff(now);
        self.solicit(from);
    }

    /// `now` at first, then a doubling time later.
    fn backoff(&mut self, now: Duration) -> Duration {
        let wait = (1u64 << self.setbacks.min(12)) - 1;
        self.setbacks = self.setbacks.saturating_add(1);
        now.saturating_add(Duration::from_secs(wait.min(MAX_BACKOFF)))
    }

    fn request_best(&mut self, now: Duration) {
        if let Some(best) = self.best.take() {
            let leases = best.leases();
            self.request(now, best.server, leases);
        }
    }

    fn request(&mut self, now: Duration, server: Duid, leases: Leases) {
        let exchange =
            self.enter(State::Requesting, MessageType::REQUEST, Parameters::REQUEST, Some(server), now);
        exchange.leases = leases;
    }

    pub(super) fn renew(&mut self, now: Duration) {
        let server = self.binding.as_ref().map(|b| b.server.clone());
        self.enter(State::Renewing, MessageType::RENEW, Parameters::RENEW, server, now);
    }

    fn rebind(&mut self, now: Duration) {
        self.enter(State::Rebinding, MessageType::REBIND, Parameters::REBIND, None, now);
    }

    /// Asks for configuration without leases. It is delayed where a crowd may begin with us (RFC 9915 section 18.2.6), as
    /// when all refresh what they were told at one time (section 21.23), and not for a Reconfigure.
    pub(super) fn inform(&mut self, now: Duration, server: Option<Duid>, delayed: bool) {
        let parameters = Parameters::information(self.inf_max_rt);
        let parameters = if delayed { parameters } else { parameters.at_once() };
        self.enter(State::Informing, MessageType::INFORMATION_REQUEST, parameters, server, now);
    }

    /// Gives back `leases` to `server`, by Release or Decline.
    pub(super) fn give_back(&mut self, now: Duration, kind: MessageType, server: Duid, leases: Leases) {
        let (state, parameters) = if kind == MessageType::RELEASE {
            (State::Releasing, Parameters::RELEASE)
        } else {
            (State::Declining, Parameters::DECLINE)
        };
        self.enter(state, kind, parameters, Some(server), now).leases = leases;
    }

    fn give_up(&mut self, now: Duration, actions: &mut Actions) {
        match self.state {
            State::Requesting => self.solicit_after_refusal(now),
            // Nobody answered: what is held may be used as before (RFC 9915 section 18.2.3).
            State::Confirming => self.rest(State::Bound),
            State::Releasing => self.released(actions),
            State::Declining => self.declined(now, actions),
            _ => self.exchange = None,
        }
    }

    fn released(&mut self, actions: &mut Actions) {
        self.rest(State::Idle);
        actions.push(Action::Released);
    }

    /// The Decline is over: asks for other addresses, the later the more often that was needed.
    fn declined(&mut self, now: Duration, actions: &mut Actions) {
        let from = self.backoff(now);
        match &mut self.binding {
            Some(binding) if binding.has_leases() => {
                binding.t1 = binding.t1.min(from);
                actions.push(Action::Save(binding.clone()));
                self.rest(State::Bound);
            }
            _ => self.solicit(from),
        }
    }

    /// An Advertise or a Reply.
    pub(super) fn answer(
        &mut self,
        now: Duration,
        source: Ipv6Addr,
        message: &Message<'_>,
        actions: &mut Actions,
    ) {
        let expected =
            self.exchange.as_ref().filter(|e| e.count > 0 && e.transaction == message.transaction());
        let Some((kind, server)) = expected.map(|e| (e.kind, e.server.clone())) else {
            self.counters.unsolicited += 1;
            return;
        };
        let fits = match message.kind() {
            MessageType::ADVERTISE => kind == MessageType::SOLICIT,
            _ => kind != MessageType::SOLICIT || self.config.rapid_commit,
        };
        let answer =
            Answer::read(&self.config, message).filter(|a| fits && server.is_none_or(|s| s == a.server));
        let Some(answer) = answer else {
            self.counters.unsolicited += 1;
            return;
        };
        self.counters.bad_leases += answer.rejected;
        self.take_limits(&answer);
        if message.kind() == MessageType::ADVERTISE {
            self.advertised(now, answer);
            return;
        }
        match self.state {
            State::Soliciting if answer.rapid_commit => self.granted(now, source, &answer, actions),
            State::Soliciting => self.counters.unsolicited += 1,
            State::Requesting => self.granted(now, source, &answer, actions),
            State::Confirming if kind == MessageType::CONFIRM => self.confirmed(now, answer.status, actions),
            State::Confirming | State::Renewing | State::Rebinding => {
                self.extended(now, source, &answer, actions);
            }
            State::Informing => self.informed(now, source, &answer, actions),
            // Whatever the status, the exchange is over (RFC 9915 sections 18.2.10.2 and 18.2.10.3).
            State::Releasing => self.released(actions),
            State::Declining => self.declined(now, actions),
            State::Idle | State::Bound | State::Informed => {}
        }
    }

    /// SOL_MAX_RT and INF_MAX_RT hold even where the rest of the message is of no use (RFC 9915 section 18.2.9).
    fn take_limits(&mut self, answer: &Answer) {
        if let Some(seconds) = answer.sol_max_rt {
            self.sol_max_rt = Duration::from_secs(seconds.into());
        }
        if let Some(seconds) = answer.inf_max_rt {
            self.inf_max_rt = Duration::from_secs(seconds.into());
        }
        if let Some(exchange) = &mut self.exchange {
            match exchange.kind {
                MessageType::SOLICIT => exchange.set_mrt(self.sol_max_rt),
                MessageType::INFORMATION_REQUEST => exchange.set_mrt(self.inf_max_rt),
                _ => {}
            }
        }
    }

    fn advertised(&mut self, now: Duration, answer: Answer) {
        if !answer.suffices(&self.config) {
            self.counters.unusable += 1;
            return;
        }
        let collecting = answer.preference < u8::MAX && self.exchange.as_ref().is_some_and(|e| e.count < 2);
        if self.best.as_ref().is_none_or(|best| answer.rank(&self.config) > best.rank(&self.config)) {
            self.best = Some(answer);
        }
        if !collecting {
            self.request_best(now);
        }
    }

    /// Reply to a Request, or to a Solicit with Rapid Commit.
    fn granted(&mut self, now: Duration, source: Ipv6Addr, answer: &Answer, actions: &mut Actions) {
        // The server could not say why: the Request goes out again until it has been sent often enough.
        if answer.status == StatusCode::UNSPEC_FAIL {
            self.counters.refused += 1;
            return;
        }
        // Where something is held already, whatever is given is an improvement; else it must be what is required.
        let held = self.binding.as_ref().is_some_and(Binding::has_leases);
        let enough = if held { !answer.leases().is_empty() } else { answer.suffices(&self.config) };
        if !enough || answer.status == StatusCode::NOT_ON_LINK {
            if self.state == State::Requesting {
                self.solicit_after_refusal(now);
            }
            return;
        }
        self.take_reply(now, source, answer, Taking::Afresh);
        self.rest(State::Bound);
        self.announce(now, actions);
    }

    fn take_reply(&mut self, now: Duration, source: Ipv6Addr, answer: &Answer, taking: Taking) -> Applied {
        let binding = self.binding.get_or_insert_with(|| Binding::empty(answer.server.clone()));
        let applied = binding.take_leases(&self.config, answer, taking, now);
        binding.take_information(answer, source, self.config.reconfigure_accept);
        self.hint_again = false;
        applied
    }

    fn confirmed(&mut self, now: Duration, status: StatusCode, actions: &mut Actions) {
        if status == StatusCode::NOT_ON_LINK {
            self.lose(now, actions);
        } else {
            self.rest(State::Bound);
        }
    }

    /// Reply to a Renew or Rebind.
    fn extended(&mut self, now: Duration, source: Ipv6Addr, answer: &Answer, actions: &mut Actions) {
        let unknown = answer.status == StatusCode::NO_BINDING;
        if answer.status != StatusCode::SUCCESS && !unknown {
            // It is sent again at its time, and others are asked from T2 on (RFC 9915 section 18.2.10).
            self.counters.refused += 1;
            return;
        }
        let before = self.binding.clone();
        let applied = self.take_reply(now, source, answer, Taking::Extending);
        let held = self.binding.as_ref().is_some_and(Binding::has_leases);
        if held && (unknown || applied.no_binding) {
            // RFC 9915 section 18.2.10.1: a Request to that server for all associations; what is held stays in use.
            let leases = self.binding.as_ref().map(Leases::from).unwrap_or_default();
            self.request(now, answer.server.clone(), leases);
        } else if held && !applied.unanswered {
            self.setbacks = 0;
            self.rest(State::Bound);
        }
        if self.binding != before {
            self.announce(now, actions);
        }
    }

    fn informed(&mut self, now: Duration, source: Ipv6Addr, answer: &Answer, actions: &mut Actions) {
        if answer.status != StatusCode::SUCCESS {
            self.counters.refused += 1;
            return;
        }
        let binding = self.binding.get_or_insert_with(|| Binding::empty(answer.server.clone()));
        if binding.has_leases() && binding.server != answer.server {
            // Leases stay their server's; another server's information does not change that.
            self.counters.unsolicited += 1;
            return;
        }
        binding.take_information(answer, source, self.config.reconfigure_accept);
        let state = if binding.has_leases() {
            State::Bound
        } else {
            binding.set_refresh(answer, now);
            State::Informed
        };
        self.rest(state);
        self.announce(now, actions);
    }

    /// A Reconfigure (RFC 9915 sections 16.11 and 18.2.11). While an exchange runs it is dropped.
    pub(super) fn reconfigure(
        &mut self,
        now: Duration,
        message: &Message<'_>,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        let options = message.options();
        let resting = matches!(self.state, State::Bound | State::Informed);
        let Some(binding) = self.binding.as_mut().filter(|b| {
            resting
                && self.config.reconfigure_accept
                && options.get(OptionCode::CLIENT_ID) == Some(self.config.duid.as_bytes())
                && options.get(OptionCode::SERVER_ID) == Some(b.server.as_bytes())
        }) else {
            self.counters.unsolicited += 1;
            return;
        };
        let Some(DhcpOption::ReconfigureMessage(asked)) = options.find(OptionCode::RECONF_MSG) else {
            self.counters.malformed += 1;
            return;
        };
        let leased = binding.has_leases();
        let possible = match asked {
            MessageType::RENEW | MessageType::REBIND => leased,
            kind => kind == MessageType::INFORMATION_REQUEST,
        };
        if !possible {
            self.counters.unsolicited += 1;
            return;
        }
        let replay = binding.reconfigure.as_ref().and_then(|key| reconfigure::verify(key, message, bytes));
        let (Some(replay), Some(key)) = (replay, binding.reconfigure.as_mut()) else {
            self.counters.forged += 1;
            return;
        };
        key.replay = replay;
        let server = binding.server.clone();
        // Before anything is done: after a restart the same message must not count again.
        actions.push(Action::Save(binding.clone()));
        match asked {
            MessageType::RENEW => self.renew(now),
            MessageType::REBIND => self.rebind(now),
            _ => self.inform(now, Some(server), false),
        }
    }
}
