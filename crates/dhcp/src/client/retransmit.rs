//! Reliability of client-initiated exchanges (RFC 9915 section 15), and the rate limit (section 14.1).

use super::leases::Leases;
use sixgate_wire::dhcpv6::{Duid, MessageType, TransactionId};
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// SOL_MAX_RT while no server has set another.
pub(super) const SOL_MAX_RT: Duration = seconds(3600);
/// INF_MAX_RT while no server has set another.
pub(super) const INF_MAX_RT: Duration = seconds(3600);
/// SOL_MAX_DELAY, CNF_MAX_DELAY and INF_MAX_DELAY: they are one value.
pub(super) const MAX_DELAY: Duration = seconds(1);

/// The parameters of one exchange: names as in RFC 9915 section 15, values of section 7.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Initial retransmission time.
    irt: Duration,
    /// Maximum retransmission time.
    mrt: Option<Duration>,
    /// Maximum retransmission count.
    mrc: Option<u32>,
    /// Maximum retransmission duration.
    mrd: Option<Duration>,
    /// The first message is sent after a random time up to this.
    max_delay: Duration,
}

impl Parameters {
    const fn new(irt: u64, mrt: Option<Duration>, mrc: Option<u32>) -> Self {
        Self { irt: seconds(irt), mrt, mrc, mrd: None, max_delay: Duration::ZERO }
    }

    /// SOL_TIMEOUT, SOL_MAX_RT and SOL_MAX_DELAY.
    pub(super) const fn solicit(sol_max_rt: Duration) -> Self {
        Self { max_delay: MAX_DELAY, ..Self::new(1, Some(sol_max_rt), None) }
    }

    /// INF_TIMEOUT, INF_MAX_RT and INF_MAX_DELAY.
    pub(super) const fn information(inf_max_rt: Duration) -> Self {
        Self { max_delay: MAX_DELAY, ..Self::new(1, Some(inf_max_rt), None) }
    }

    /// CNF_TIMEOUT, CNF_MAX_RT, CNF_MAX_RD and CNF_MAX_DELAY.
    pub(super) const CONFIRM: Self =
        Self { mrd: Some(seconds(10)), max_delay: MAX_DELAY, ..Self::new(1, Some(seconds(4)), None) };
    /// REQ_TIMEOUT, REQ_MAX_RT and REQ_MAX_RC.
    pub(super) const REQUEST: Self = Self::new(1, Some(seconds(30)), Some(10));
    /// REN_TIMEOUT and REN_MAX_RT; the exchange ends at T2.
    pub(super) const RENEW: Self = Self::new(10, Some(seconds(600)), None);
    /// REB_TIMEOUT and REB_MAX_RT; the exchange ends with the last lease.
    pub(super) const REBIND: Self = Self::new(10, Some(seconds(600)), None);
    /// REL_TIMEOUT and REL_MAX_RC.
    pub(super) const RELEASE: Self = Self::new(1, None, Some(4));
    /// DEC_TIMEOUT and DEC_MAX_RC.
    pub(super) const DECLINE: Self = Self::new(1, None, Some(4));

    /// The same without the delay before the first message.
    pub(super) const fn at_once(self) -> Self {
        Self { max_delay: Duration::ZERO, ..self }
    }
}

/// What is due in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The message, for the first time or again.
    Send,
    /// No answer came, and the exchange is over.
    GiveUp,
}

/// A message that waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) kind: MessageType,
    pub(super) transaction: TransactionId,
    /// The server that it is addressed to; only this one may answer.
    pub(super) server: Option<Duid>,
    /// What is asked for or given back, where that is not simply what is held.
    pub(super) leases: Leases,
    parameters: Parameters,
    first_sent: Option<Duration>,
    /// How often it was sent.
    pub(super) count: u32,
    rt: Duration,
    /// When to do something next.
    pub(super) next: Duration,
}

impl Exchange {
    /// An exchange whose first message is due after the random delay of `parameters`, counted from `from`.
    pub(super) fn new(
        kind: MessageType,
        parameters: Parameters,
        server: Option<Duid>,
        from: Duration,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let [_, a, b, c] = rng.u32(..).to_be_bytes();
        Self {
            kind,
            transaction: TransactionId([a, b, c]),
            server,
            leases: Leases::default(),
            parameters,
            first_sent: None,
            count: 0,
            rt: Duration::ZERO,
            next: from.saturating_add(parameters.max_delay.mul_f64(rng.f64())),
        }
    }

    /// What is due at `now`, if anything is.
    pub(super) fn due(&self, now: Duration) -> Option<Due> {
        if now < self.next {
            return None;
        }
        let enough = self.parameters.mrc.is_some_and(|mrc| self.count >= mrc);
        Some(if enough || self.end().is_some_and(|end| now >= end) { Due::GiveUp } else { Due::Send })
    }

    fn end(&self) -> Option<Duration> {
        Some(self.first_sent?.saturating_add(self.parameters.mrd?))
    }

    /// Notes that the message was sent, and computes when to send it again:
    /// `RT = IRT + RAND*IRT`, then `RT = 2*RTprev + RAND*RTprev`, then about MRT (RFC 9915 section 15).
    pub(super) fn sent(&mut self, now: Duration, rng: &mut fastrand::Rng) {
        self.count = self.count.saturating_add(1);
        self.first_sent.get_or_insert(now);
        let spread = rng.f64() * 0.2 - 0.1;
        self.rt = if self.rt.is_zero() {
            // The first Solicit's RAND must be above 0, so that a server with preference 255 is not missed
            // (RFC 9915 section 18.2.1).
            let spread = if self.kind == MessageType::SOLICIT { 0.1 - rng.f64() * 0.099 } else { spread };
            self.parameters.irt.mul_f64(1.0 + spread)
        } else {
            self.rt.mul_f64(2.0 + spread)
        };
        if let Some(mrt) = self.parameters.mrt.filter(|&mrt| self.rt > mrt) {
            self.rt = mrt.mul_f64(1.0 + spread);
        }
        self.next = now.saturating_add(self.rt);
        if let Some(end) = self.end() {
            self.next = self.next.min(end);
        }
    }

    /// A server set another maximum retransmission time; it holds from the next retransmission on.
    pub(super) fn set_mrt(&mut self, mrt: Duration) {
        self.parameters.mrt = Some(mrt);
    }

    /// Hundredths of a second since the first message of the exchange (RFC 9915 section 21.9).
    pub(super) fn elapsed(&self, now: Duration) -> u16 {
        let since = self.first_sent.map_or(Duration::ZERO, |first| now.saturating_sub(first));
        u16::try_from(since.as_millis() / 10).unwrap_or(u16::MAX)
    }
}

/// Token bucket over all messages of the client: 20 at once and one more each second, as RFC 9915 section 14.1
/// proposes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    tokens: u32,
    /// When the present number of tokens was counted.
    since: Duration,
}

impl Bucket {
    const SIZE: u32 = 20;
    const INTERVAL: Duration = seconds(1);

    pub(super) const fn new() -> Self {
        Self { tokens: Self::SIZE, since: Duration::ZERO }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time at which there will be one.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let grown = now.saturating_sub(self.since).as_secs();
        if u64::from(self.tokens) + grown >= u64::from(Self::SIZE) {
            self.tokens = Self::SIZE;
            self.since = now;
        } else {
            self.tokens += grown as u32;
            self.since += Duration::from_secs(grown);
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(self.since.saturating_add(Self::INTERVAL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends until given up or `limit` times; the times between, in milliseconds.
    fn gaps(kind: MessageType, parameters: Parameters, limit: usize, seed: u64) -> (Vec<u128>, bool) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut exchange = Exchange::new(kind, parameters, None, Duration::ZERO, &mut rng);
        assert!(exchange.next <= parameters.max_delay);
        let mut gaps = Vec::new();
        for _ in 0..limit {
            let now = exchange.next;
            if exchange.due(now) == Some(Due::GiveUp) {
                return (gaps, true);
            }
            exchange.sent(now, &mut rng);
            gaps.push(exchange.next.saturating_sub(now).as_millis());
        }
        (gaps, false)
    }

    #[test]
    fn every_message_follows_section_15() {
        for seed in 0..200 {
            let (solicit, _) = gaps(MessageType::SOLICIT, Parameters::solicit(SOL_MAX_RT), 20, seed);
            assert!((1001..=1100).contains(&solicit[0]), "{solicit:?}");
            assert!((3_240_000..=3_960_000).contains(&solicit[19]), "{solicit:?}");
            for pair in solicit.windows(2) {
                assert!(pair[1] * 100 <= pair[0] * 211 || pair[1] <= 3_960_000, "{pair:?}");
            }
            let (request, over) = gaps(MessageType::REQUEST, Parameters::REQUEST, 20, seed);
            assert!((900..=1100).contains(&request[0]) && over);
            assert_eq!(request.len(), 10);
            assert!(request.iter().all(|&gap| gap <= 33_000));
            let (confirm, over) = gaps(MessageType::CONFIRM, Parameters::CONFIRM, 20, seed);
            assert!(over);
            assert!(confirm.iter().sum::<u128>().abs_diff(10_000) < 10, "{confirm:?}");
            let (release, over) = gaps(MessageType::RELEASE, Parameters::RELEASE, 20, seed);
            assert!(over);
            assert_eq!(release.len(), 4);
            let (renew, _) = gaps(MessageType::RENEW, Parameters::RENEW, 30, seed);
            assert!((9_000..=11_000).contains(&renew[0]) && (540_000..=660_000).contains(&renew[29]));
        }
    }

    #[test]
    fn the_bucket_holds_twenty_and_fills_by_one_a_second() {
        let mut bucket = Bucket::new();
        let now = seconds(1_000_000);
        for _ in 0..20 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        assert_eq!(bucket.take(now), Err(now + seconds(1)));
        assert_eq!(bucket.take(now + seconds(1)), Ok(()));
        assert_eq!(bucket.take(now + Duration::from_millis(1500)), Err(now + seconds(2)));
        for _ in 0..3 {
            assert_eq!(bucket.take(now + seconds(4)), Ok(()));
        }
        assert!(bucket.take(now + seconds(4)).is_err());
    }

    #[test]
    fn elapsed_time_is_in_hundredths_and_stops_at_its_greatest() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut exchange = Exchange::new(MessageType::RENEW, Parameters::RENEW, None, seconds(5), &mut rng);
        assert_eq!(exchange.elapsed(seconds(5)), 0);
        exchange.sent(seconds(5), &mut rng);
        assert_eq!(exchange.elapsed(Duration::from_millis(6_239)), 123);
        assert_eq!(exchange.elapsed(seconds(5 + 655)), 65_500);
        assert_eq!(exchange.elapsed(seconds(5 + 656)), 0xffff);
        assert_eq!(exchange.elapsed(Duration::MAX), 0xffff);
    }
}
