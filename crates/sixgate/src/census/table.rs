//! The census for a terminal.

use super::view::{Census, Client, Need, Share};
use super::{need, percent, stands};
use crate::view::{columns, seconds};
use std::fmt::Write as _;

/// Needs of one client that a line has room for.
const SHOWN: usize = 3;
/// Common needs that are shown.
const COMMON: usize = 10;

/// The whole table.
pub(super) fn table(census: &Census) -> String {
    if census.clients.is_empty() {
        return "no client has been seen yet\n".to_owned();
    }
    let header = ["CLIENT", "FAMILY", "STAGE", "SCORE", "95 %", "HOURS", "ARP/H", "SEEN", "NEEDED IPV4 FOR"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(census.clients.iter().map(|client| row(client, census.now)));
    let mut out = columns(&rows);
    if census.clients.iter().any(|client| client.randomised) {
        let _ = writeln!(out, "  * its hardware address is made up: it may have been counted before");
    }
    let report = &census.report;
    let _ = writeln!(out, "\nof {} could live without IPv4 today:", clients(report.ready.of));
    let _ = writeln!(out, "  {}", share(&report.ready));
    if report.ready_stable.of > 0 {
        let stable = share(&report.ready_stable);
        let _ = writeln!(out, "  {stable} of those whose hardware address is not made up");
    }
    for line in &report.lines {
        let _ = writeln!(out, "  {}", stands(line));
    }
    let _ = writeln!(out, "live without it now: {}", share(&report.without));
    let _ = writeln!(out, "ask for option 108: {}", share(&report.asking));
    let _ = writeln!(out, "\nready by family");
    let rows: Vec<[String; 2]> =
        report.families.iter().map(|(family, of)| [family.clone(), share(of)]).collect();
    out += &columns(&rows);
    if !census.needs.is_empty() {
        let _ = writeln!(out, "\nwhat most needed IPv4 for");
        let rows: Vec<[String; 3]> = (census.needs.iter().take(COMMON))
            .map(|common| [clients(common.clients), common.what.clone(), need(&common.kind).to_owned()])
            .collect();
        out += &columns(&rows);
    }
    let lost = census.counters.get("frames-lost").copied().unwrap_or(0);
    if lost > 0 {
        let _ = writeln!(out, "\n{lost} frames came faster than they were read: ARP is undercounted");
    }
    out
}

fn row(client: &Client, now: u64) -> [String; 9] {
    let family = if client.randomised { format!("{} *", client.family) } else { client.family.clone() };
    // In its first hour there is no full one to show.
    let arp = if client.last.saturating_sub(client.first) < 3_600 && client.arp.last_hour == 0 {
        client.arp.this_hour
    } else {
        client.arp.last_hour
    };
    let stage = if client.ready { format!("{}, ready", client.stage) } else { client.stage.clone() };
    [
        name(client),
        family,
        stage,
        percent(client.score.best),
        format!("{} to {}", percent(client.score.low), percent(client.score.high)),
        client.score.hours.to_string(),
        arp.to_string(),
        format!("{} ago", seconds(Some(now.saturating_sub(client.last)))),
        needs(&client.needs),
    ]
}

/// What a client is called: its name where that is kept, else its id.
pub(super) fn name(client: &Client) -> String {
    client.name.clone().or_else(|| client.link_layer.clone()).unwrap_or_else(|| client.id.clone())
}

fn needs(needs: &[Need]) -> String {
    let words = needs.iter().take(SHOWN).map(|one| match &one.what {
        Some(what) => what.clone(),
        None => format!("{} ({})", need(&one.kind), one.count),
    });
    let mut words: Vec<String> = words.collect();
    if needs.len() > SHOWN {
        words.push(format!("and {} more", needs.len() - SHOWN));
    }
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

pub(super) fn share(share: &Share) -> String {
    if share.of == 0 {
        return "nobody to ask".to_owned();
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of clients are far below 2^52")]
    let part = share.count as f64 / share.of as f64;
    let (low, high) = (percent(share.low), percent(share.high));
    format!("{} of {}, {} ({low} to {high})", share.count, share.of, percent(part))
}

fn clients(count: u64) -> String {
    match count {
        1 => "1 client".to_owned(),
        64 => "64 clients or more".to_owned(),
        count => format!("{count} clients"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::census::view::{Arp, Common, Day, Line, Report, Score};

    fn share_of(count: u64, of: u64) -> Share {
        Share { count, of, low: 0.0, high: 0.79 }
    }

    pub(in crate::census) fn census() -> Census {
        let client = Client {
            id: "0123456789abcdef".to_owned(),
            name: None,
            link_layer: None,
            family: "embedded".to_owned(),
            fingerprint: "1,3,6|udhcp|".to_owned(),
            randomised: true,
            stage: "no IPv6".to_owned(),
            score: Score { best: 0.0, low: 0.0, high: 0.79, hours: 1 },
            ready: false,
            asks_108: false,
            told: None,
            discovers_nat64: false,
            discovers_resolver: false,
            arp: Arp { last_minute: 1, this_hour: 7, last_hour: 0, total: 7 },
            needs: vec![Need { kind: "address".to_owned(), what: None, count: 2, last: 1_795_000_000 }],
            first: 1_795_000_000,
            last: 1_795_000_000,
        };
        let named = Client { name: Some("<b>printer</b>".to_owned()), ..client.clone() };
        Census {
            privacy: "hashed".to_owned(),
            retention: 86_400,
            now: 1_795_000_060,
            since: 1_795_000_000,
            translated: false,
            ready_from: 0.8,
            report: Report {
                ready: share_of(0, 2),
                ready_stable: share_of(0, 0),
                without: share_of(0, 2),
                asking: share_of(0, 2),
                families: [("embedded".to_owned(), share_of(0, 2))].into(),
                stages: [("no IPv6".to_owned(), 2)].into(),
                lines: vec![
                    Line { percent: 1, stands: "open".to_owned() },
                    Line { percent: 10, stands: "missed".to_owned() },
                ],
            },
            clients: vec![client, named],
            needs: vec![Common {
                kind: "name".to_owned(),
                what: "old.example".to_owned(),
                clients: 64,
                last: 1_795_000_000,
            }],
            days: (0..3)
                .map(|n| Day {
                    from: 1_794_960_000 + n * 86_400,
                    clients: 10,
                    ready: n,
                    without: 0,
                    asking: n,
                })
                .collect(),
            counters: [("frames-lost".to_owned(), 9)].into(),
        }
    }

    #[test]
    fn the_table_says_who_and_how_sure() {
        let text = table(&census());
        for words in [
            "0123456789abcdef",
            "embedded *",
            "0 % to 79 %",
            "address by number (2)",
            "* its hardware address is made up",
            "of 2 clients could live without IPv4 today:",
            " 1 %: open",
            "10 %: could not yet",
            "64 clients or more",
            "old.example",
            "9 frames came faster",
        ] {
            assert!(text.contains(words), "{words} is missing in:\n{text}");
        }
        assert_eq!([0.0, 0.001, 0.5, 0.999, 1.0].map(percent), ["0 %", "<1 %", "50 %", ">99 %", "100 %"]);
        let nobody = Census { clients: Vec::new(), ..census() };
        assert_eq!(table(&nobody), "no client has been seen yet\n");
    }
}
