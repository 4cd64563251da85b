//! What a census says: each client, the network as a whole, and how it changed from day to day.

use super::fingerprint::{Family, Fingerprint};
use super::needs::{Common, Need};
use super::score::{Score, Share, Stage};
use super::{Census, CensusId, Client, DAY, Privacy};
use sixgate_wire::dhcpv4::Hardware;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Where names may not be kept, a name is told once so many clients needed it: then it says nothing of one of
/// them.
pub const MANY: usize = 3;

/// One client, for tables and views.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who.
    pub id: CensusId,
    /// Its name, where names may be kept.
    pub hostname: Option<String>,
    /// Its hardware address, where it may be kept.
    pub hardware: Option<Hardware>,
    /// What it is.
    pub family: Family,
    /// How it asks.
    pub fingerprint: Fingerprint,
    /// Whether its hardware address is made up: it may count as another client next time.
    pub randomised: bool,
    /// Could it live without IPv4.
    pub score: Score,
    /// Whether that is sure enough.
    pub ready: bool,
    /// Since when it was told to do without IPv4 and has not taken an address.
    pub without: Option<Duration>,
    /// Whether it looks for the NAT64's prefix by name (RFC 7050).
    pub discovers: bool,
    /// Whether it looks for an encrypted resolver (RFC 9462): then not all of its names are seen.
    pub encrypts: bool,
    /// ARP frames in the last full hour.
    pub arp_an_hour: u32,
    /// ARP frames in this hour so far, in the last full minute, and ever since it was first seen.
    pub arp_this_hour: u32,
    /// See [`Row::arp_this_hour`].
    pub arp_last_minute: u32,
    /// See [`Row::arp_this_hour`].
    pub arp_total: u64,
    /// What it needed IPv4 for, the latest first.
    pub needs: Vec<Need>,
    /// When it was first seen.
    pub first: Duration,
    /// When it was last seen.
    pub last: Duration,
}

/// The whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Clients that are ready, of all.
    pub ready: Share,
    /// The same among those whose hardware address is not made up: made-up ones may count one client several
    /// times.
    pub ready_stable: Share,
    /// Clients that live without IPv4 now, of all.
    pub without: Share,
    /// Clients that ask for option 108, of all.
    pub asking: Share,
    /// Ready clients of each family that was seen.
    pub families: BTreeMap<Family, Share>,
    /// Clients at each stage.
    pub stages: BTreeMap<Stage, u64>,
    /// Clients forgotten early, to make room for newer ones.
    pub evicted: u64,
}

/// The clients of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Clients that were seen.
    pub clients: u64,
    /// Those of them that were ready by the end of it.
    pub ready: u64,
    /// Those that lived without IPv4.
    pub without: u64,
    /// Those that ask for option 108.
    pub asking: u64,
}

impl Census {
    /// All clients, those first that are furthest from living without IPv4.
    pub fn rows(&self, now: Duration) -> Vec<Row> {
        let mut rows: Vec<Row> =
            self.clients.iter().map(|(&id, client)| self.row(now, id, client.clone())).collect();
        rows.sort_by(|a, b| a.score.low.total_cmp(&b.score.low).then(a.id.cmp(&b.id)));
        rows
    }

    fn row(&self, now: Duration, id: CensusId, client: Client) -> Row {
        let mut c = client.counted;
        c.turn(now);
        let score = c.score(now);
        let family = client.family();
        let mut needs = client.needs.0;
        needs.sort_by_key(|need| std::cmp::Reverse(need.last));
        Row {
            id,
            ready: score.low >= self.limits.ready,
            score,
            family,
            randomised: c.randomised,
            without: c.without,
            discovers: c.discovers,
            encrypts: c.encrypts,
            arp_an_hour: c.arp_hour.before,
            arp_this_hour: c.arp_hour.now,
            arp_last_minute: c.arp_minute.before,
            arp_total: c.arp,
            needs,
            first: c.first,
            last: c.last,
            hostname: client.hostname,
            hardware: client.hardware,
            fingerprint: client.fingerprint,
        }
    }

    /// The network as a whole.
    pub fn report(&self, now: Duration) -> Report {
        self.report_of(&self.rows(now))
    }

    /// The network as a whole, of rows that are at hand.
    pub fn report_of(&self, rows: &[Row]) -> Report {
        let share = |among: &dyn Fn(&&Row) -> bool, is: &dyn Fn(&&Row) -> bool| {
            let of = rows.iter().filter(among);
            Share::new(of.clone().filter(is).count() as u64, of.count() as u64)
        };
        let families: BTreeSet<Family> = rows.iter().map(|row| row.family).collect();
        let mut stages = BTreeMap::new();
        for row in rows {
            *stages.entry(row.score.stage).or_default() += 1;
        }
        Report {
            ready: share(&|_| true, &|row| row.ready),
            ready_stable: share(&|row| !row.randomised, &|row| row.ready),
            without: share(&|_| true, &|row| row.score.stage == Stage::Without),
            asking: share(&|_| true, &|row| row.fingerprint.asks_v6only()),
            families: families
                .into_iter()
                .map(|family| (family, share(&|row| row.family == family, &|row| row.ready)))
                .collect(),
            stages,
            evicted: self.evicted,
        }
    }

    /// What clients needed IPv4 for, the most common first: all of it where names may be kept, else what at
    /// least [`MANY`] clients have in common.
    pub fn common_needs(&self) -> Vec<Common> {
        self.common.of_at_least(if self.privacy == Privacy::Named { 1 } else { MANY })
    }

    /// Writes down how the day stands that `now` is in; the last time of a day stays. Days are kept for
    /// [`super::Limits::days`], longer than clients: they say nothing of anybody.
    pub fn count_day(&mut self, now: Duration) {
        let today = now.as_secs() / DAY;
        let mut day = Day::default();
        for client in self.clients.values().filter(|client| client.counted.last.as_secs() / DAY == today) {
            let mut c = client.counted;
            c.turn(now);
            let score = c.score(now);
            day.clients += 1;
            day.ready += u64::from(score.low >= self.limits.ready);
            day.without += u64::from(score.stage == Stage::Without);
            day.asking += u64::from(client.fingerprint.asks_v6only());
        }
        if day.clients > 0 {
            self.days.insert(today, day);
        }
        while self.days.len() > self.limits.days.max(1) {
            self.days.pop_first();
        }
    }

    /// The days that were counted, by their number since the Unix epoch (UTC).
    pub fn days(&self) -> &BTreeMap<u64, Day> {
        &self.days
    }
}
