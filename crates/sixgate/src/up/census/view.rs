//! What the control socket is told of the census, and what it is told to forget.

use super::Observer;
use crate::census::view;
use crate::up::engine::Engine;
use crate::up::neighbours::Mac;
use sixgate_dhcp::v4::census::{LINES, Limits, Line, Privacy, Report, Row, Share};
use sixgate_wire::dhcpv4::Hardware;
use std::collections::BTreeMap;
use std::time::Duration;

const OFF: &str = "there is no census: write a [census] section in the configuration, then restart sixgate";

impl Engine {
    /// The view `census`, or why there is none.
    pub(crate) fn census_view(&mut self) -> Result<view::Census, String> {
        let now = self.now();
        let retention = self.config.census.as_ref().map_or(0, |census| census.retention.as_secs());
        let observer = self.census.as_mut().ok_or(OFF)?;
        let translated = self.lans.iter().any(|lan| observer.prefix(lan).is_some());
        observer.core.expire(now);
        observer.core.count_day(now);
        observer.lost += observer.looks.iter().flatten().map(super::Look::lost).sum::<u64>();
        let rows = observer.core.rows(now);
        let report = observer.core.report_of(&rows);
        let needs = observer.core.common_needs().into_iter().map(|need| view::Common {
            kind: need.kind.name().to_owned(),
            what: need.what,
            clients: need.clients,
            last: need.last.as_secs(),
        });
        let days = observer.core.days().iter().map(|(day, d)| view::Day {
            from: day * 86_400,
            clients: d.clients,
            ready: d.ready,
            without: d.without,
            asking: d.asking,
        });
        Ok(view::Census {
            privacy: if observer.core.privacy() == Privacy::Named { "named" } else { "hashed" }.to_owned(),
            retention,
            now: now.as_secs(),
            since: observer.started.as_secs(),
            translated,
            ready_from: Limits::default().ready,
            counters: observer.counters(&report),
            report: of_report(&report),
            needs: needs.collect(),
            days: days.collect(),
            clients: rows.into_iter().map(of_row).collect(),
        })
    }

    /// What is known of the client with this hardware address.
    pub(crate) fn census_client(&mut self, who: &str) -> Result<view::Client, String> {
        let now = self.now();
        let observer = self.census.as_mut().ok_or(OFF)?;
        observer.core.expire(now);
        let id = mac(who).and_then(|mac| observer.core.find(&Hardware::ethernet(mac)));
        let row = observer.core.rows(now).into_iter().find(|row| Some(row.id) == id);
        row.map(of_row).ok_or_else(|| format!("the census has not seen {}", who.escape_debug()))
    }

    /// Forgets a client by its id, its hardware address or its name, or all: how many there were.
    pub(crate) fn census_forget(&mut self, who: &str) -> Result<view::Forgotten, String> {
        let now = self.now();
        let observer = self.census.as_mut().ok_or(OFF)?;
        let forgotten = if who == "all" {
            let all = observer.core.len() as u64;
            observer.core.forget_all();
            observer.book = super::Book::default();
            observer.pending.clear();
            observer.hosts.clear();
            observer.learnt.clear();
            all
        } else {
            let id = match mac(who) {
                Some(mac) => {
                    observer.book.forget(mac);
                    observer.hosts.retain(|_, host| *host != mac);
                    observer.core.find(&Hardware::ethernet(mac))
                }
                None => u64::from_str_radix(who, 16).ok().filter(|_| who.len() == 16).or_else(|| {
                    let rows = observer.core.rows(now);
                    rows.iter().find(|row| row.hostname.as_deref() == Some(who)).map(|row| row.id)
                }),
            };
            u64::from(id.is_some_and(|id| observer.core.forget(id)))
        };
        // On disk nothing stays either.
        self.write_census_at_once();
        Ok(view::Forgotten { forgotten })
    }
}

impl Observer {
    fn counters(&self, report: &Report) -> BTreeMap<String, u64> {
        let (names, names_evicted) = self.book.counters();
        [
            ("clients-evicted", report.evicted),
            ("frames", self.frames),
            ("frames-lost", self.lost),
            ("names", names),
            ("names-evicted", names_evicted),
            ("questions-of-unknown-hosts", self.unknown),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Six pairs of hexadecimal digits with : or - between them.
fn mac(text: &str) -> Option<Mac> {
    let pairs: Vec<u8> = text
        .split([':', '-'])
        .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
        .collect::<Option<_>>()?;
    pairs.try_into().ok()
}

fn share(share: Share) -> view::Share {
    view::Share { count: share.count, of: share.of, low: share.low, high: share.high }
}

fn of_report(report: &Report) -> view::Report {
    let line = |percent| view::Line {
        percent,
        stands: match report.ready.line(percent) {
            Line::Reached => "reached",
            Line::Open => "open",
            Line::Missed => "missed",
        }
        .to_owned(),
    };
    view::Report {
        ready: share(report.ready),
        ready_stable: share(report.ready_stable),
        without: share(report.without),
        asking: share(report.asking),
        families: report.families.iter().map(|(family, of)| (family.name().to_owned(), share(*of))).collect(),
        stages: report.stages.iter().map(|(stage, count)| (stage.name().to_owned(), *count)).collect(),
        lines: LINES.map(line).into(),
    }
}

fn of_row(row: Row) -> view::Client {
    let secs = |time: Duration| time.as_secs();
    view::Client {
        id: format!("{:016x}", row.id),
        name: row.hostname,
        link_layer: row.hardware.map(|hardware| hardware.to_string()),
        family: row.family.name().to_owned(),
        asks_108: row.fingerprint.asks_v6only(),
        fingerprint: row.fingerprint.to_string(),
        randomised: row.randomised,
        stage: row.score.stage.name().to_owned(),
        score: view::Score {
            best: row.score.best,
            low: row.score.low,
            high: row.score.high,
            hours: row.score.hours,
        },
        ready: row.ready,
        told: row.without.map(secs),
        discovers_nat64: row.discovers,
        discovers_resolver: row.encrypts,
        arp: view::Arp {
            last_minute: row.arp_last_minute,
            this_hour: row.arp_this_hour,
            last_hour: row.arp_an_hour,
            total: row.arp_total,
        },
        needs: row
            .needs
            .into_iter()
            .map(|need| view::Need {
                kind: need.kind.name().to_owned(),
                what: need.what,
                count: need.count,
                last: secs(need.last),
            })
            .collect(),
        first: secs(row.first),
        last: secs(row.last),
    }
}
