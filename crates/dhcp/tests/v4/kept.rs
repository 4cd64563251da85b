//! What the census keeps: over restarts, of whom, for how long, and what it forgets.

use crate::asking::{Ask, START, hardware, secs};
use sixgate_dhcp::v4::census::{
    Census, CensusId, Common, Family, Limits, MANY, NeedKind, Privacy, Row, Sighting, Stage,
};
use sixgate_wire::dhcpv4::{Hardware, Message, OptionCode};
use std::collections::BTreeMap;
use std::time::Duration;

const KEY: [u8; 16] = [3; 16];
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a disk holds.
#[derive(Default)]
struct Disk {
    clients: BTreeMap<CensusId, Vec<u8>>,
    days: Vec<u8>,
}

impl Disk {
    /// Writes what changed, a few records at a time.
    fn write(&mut self, census: &mut Census) {
        loop {
            let changes = census.changes(7);
            if changes.is_empty() {
                break;
            }
            for (id, record) in changes {
                match record {
                    Some(record) => self.clients.insert(id, record),
                    None => self.clients.remove(&id),
                };
            }
        }
        assert!(!census.has_news());
        self.days = census.days_record();
    }

    fn restore(&self, now: Duration, privacy: Privacy, limits: Limits) -> Census {
        let mut census = Census::new(KEY, privacy, limits);
        for (id, record) in &self.clients {
            census.restore(now, *id, record);
        }
        census.restore_days(&self.days);
        census
    }

    fn text(&self) -> String {
        let all = self.clients.values().chain([&self.days]);
        all.map(|record| String::from_utf8_lossy(record).into_owned()).collect()
    }
}

fn census(privacy: Privacy) -> Census {
    Census::new(KEY, privacy, Limits::default())
}

fn hear(census: &mut Census, now: Duration, ask: &Ask) {
    census.message(now, &Message::parse(&ask.bytes()).unwrap());
}

/// A client of which everything is known that there is to know.
fn busy(census: &mut Census) -> Duration {
    let ask = Ask::discover(1)
        .capable()
        .with(OptionCode::VENDOR_CLASS, b"android-dhcp-15|x")
        .with(OptionCode::HOST_NAME, b"annas-pixel");
    for hour in 0..30 {
        let now = START + HOUR * hour;
        hear(census, now, &ask);
        for sighting in [
            Sighting::Ipv6,
            Sighting::Aaaa,
            Sighting::Arp,
            Sighting::Translated,
            Sighting::Discovers,
            Sighting::Encrypts,
            Sighting::Is(Family::Linux),
        ] {
            census.sighting_of(now, &hardware(1), sighting);
        }
        if hour == 3 {
            census.need_of(now, &hardware(1), NeedKind::Name, "old.example");
            census.need_of(now, &hardware(1), NeedKind::Address, "198.51.100.10:80");
            census.need_of(now, &hardware(1), NeedKind::Address, "198.51.100.11:80");
        }
    }
    let now = START + HOUR * 30;
    census.sighting_of(now, &hardware(1), Sighting::Told);
    census.count_day(now);
    now
}

fn rows(census: &Census, now: Duration) -> Vec<Row> {
    census.rows(now)
}

#[test]
fn a_restart_changes_nothing() {
    for privacy in [Privacy::Hashed, Privacy::Named] {
        let mut census = self::census(privacy);
        let now = busy(&mut census);
        // One known by its neighbour's cache alone.
        census.sighting_of(now, &hardware(2), Sighting::Ipv6);
        let mut disk = Disk::default();
        disk.write(&mut census);
        let again = disk.restore(now, privacy, Limits::default());
        assert_eq!(rows(&again, now), rows(&census, now));
        assert_eq!(rows(&again, now + DAY), rows(&census, now + DAY));
        assert_eq!(again.report(now), census.report(now));
        assert_eq!(again.days(), census.days());
        assert!(again.days().len() == 1 && again.days().values().all(|day| day.clients == 1));
        // And it goes on as if nothing had happened: the card leads to the same client.
        let (mut a, mut b) = (census.clone(), again.clone());
        for census in [&mut a, &mut b] {
            census.sighting_of(now + HOUR * 2, &hardware(1), Sighting::Arp);
            hear(census, now + HOUR * 2, &Ask::discover(2));
        }
        assert_eq!(rows(&a, now + HOUR * 3), rows(&b, now + HOUR * 3));
        let row = rows(&b, now + HOUR * 3).into_iter().find(|row| row.score.hours > 20).unwrap();
        assert_eq!((row.score.stage, row.family, row.arp_total), (Stage::Without, Family::Android, 31));
        // What was told once is not told again.
        assert!(again.clone().changes(usize::MAX).is_empty());
    }
}

#[test]
fn nothing_of_who_it_is_is_kept_where_it_may_not_be() {
    let secrets = ["anna", "02:", "old.example", "198.51.100", &hardware(1).to_string()];
    let mut census = self::census(Privacy::Hashed);
    let now = busy(&mut census);
    let mut disk = Disk::default();
    disk.write(&mut census);
    for secret in secrets {
        assert!(!disk.text().contains(secret), "{secret} is in:\n{}", disk.text());
    }
    // What it needed is counted, by kind.
    let needs = &rows(&census, now)[0].needs;
    let counts: BTreeMap<NeedKind, u32> = needs.iter().map(|need| (need.kind, need.count)).collect();
    assert_eq!(counts, [(NeedKind::Name, 1), (NeedKind::Address, 2)].into());
    assert!(needs.iter().all(|need| need.what.is_none()));

    // Kept first, and then not any more: by a switch, and by a restart with another configuration.
    let mut census = self::census(Privacy::Named);
    let now = busy(&mut census);
    let mut named = Disk::default();
    named.write(&mut census);
    for secret in ["annas-pixel", "old.example", "198.51.100.10:80", &hardware(1).to_string()] {
        assert!(named.text().contains(secret), "{secret} is not in:\n{}", named.text());
    }
    census.set_privacy(Privacy::Hashed);
    assert!(census.has_news());
    let mut switched = Disk { clients: named.clients.clone(), days: Vec::new() };
    switched.write(&mut census);
    let mut restarted = Disk { clients: named.clients.clone(), days: Vec::new() };
    restarted.write(&mut named.restore(now, Privacy::Hashed, Limits::default()));
    for disk in [switched, restarted] {
        for secret in secrets {
            assert!(!disk.text().contains(secret), "{secret} is in:\n{}", disk.text());
        }
        assert!(!disk.clients.is_empty());
    }
}

#[test]
fn what_many_need_is_told_of_nobody() {
    for (privacy, least) in [(Privacy::Hashed, MANY), (Privacy::Named, 1)] {
        let mut census = self::census(privacy);
        let need = |census: &mut Census, client, what| {
            census.need_of(START, &hardware(client), NeedKind::Name, what);
        };
        for client in 0..70 {
            need(&mut census, client, "all.example");
            if client < 3 {
                need(&mut census, client, "three.example");
            }
            if client < 2 {
                need(&mut census, client, "two.example");
            }
        }
        let told: Vec<(String, u64)> =
            census.common_needs().into_iter().map(|Common { what, clients, .. }| (what, clients)).collect();
        let mut expected = vec![("all.example".to_owned(), 64), ("three.example".to_owned(), 3)];
        if least == 1 {
            expected.push(("two.example".to_owned(), 2));
        }
        assert_eq!(told, expected);
        // Two of the three go: it is of one alone then.
        let id = |census: &Census, client| census.find(&hardware(client)).unwrap();
        for client in [0, 1] {
            let id = id(&census, client);
            assert!(census.forget(id) && !census.forget(id));
        }
        let three = census.common_needs().into_iter().find(|need| need.what == "three.example");
        assert_eq!(three.map(|need| need.clients), (least == 1).then_some(1));
    }
}

/// A year of a network, in which hosts come and go.
#[test]
fn nothing_outlives_its_retention() {
    let limits = Limits { retention: DAY * 7, ..Limits::default() };
    let mut census = Census::new(KEY, Privacy::Named, limits);
    let mut disk = Disk::default();
    let mut now = START;
    for day in 0..365_u16 {
        now = START + DAY * day.into();
        // One that stays; one for each day.
        for client in [0, day + 1] {
            hear(&mut census, now, &Ask::discover(client));
            census.sighting_of(now, &hardware(client), Sighting::Ipv6);
        }
        if day == 100 {
            census.need_of(now, &hardware(0), NeedKind::Name, "once.example");
        }
        census.expire_needs(now);
        census.count_day(now);
        disk.write(&mut census);
        let known: Vec<u16> =
            (0..=day + 1).filter(|client| census.find(&hardware(*client)).is_some()).collect();
        let first = day.saturating_sub(6) + 1;
        let expected: Vec<u16> = std::iter::once(0).chain(first..=day + 1).collect();
        assert_eq!(known, expected, "day {day}");
        assert_eq!(disk.clients.len(), known.len());
        let needed = (100..=107).contains(&day);
        assert_eq!(disk.text().contains("once.example"), needed, "day {day}");
        assert_eq!(census.common_needs().len(), usize::from(needed), "day {day}");
    }
    assert_eq!(census.days().len(), 365);
    // A machine that was off for long forgets at its start, on disk too.
    let later = now + DAY * 8;
    let mut census = disk.restore(later, Privacy::Named, limits);
    assert!(census.is_empty());
    disk.write(&mut census);
    assert!(disk.clients.is_empty() && census.days().len() == 365);
    // A shorter one holds at once.
    let mut census = disk.restore(later, Privacy::Named, limits);
    hear(&mut census, later, &Ask::discover(1));
    census.set_retention(later + HOUR * 2, HOUR);
    assert!(census.is_empty());
}

#[test]
fn to_forget_is_to_forget_on_disk() {
    let mut census = self::census(Privacy::Named);
    let mut disk = Disk::default();
    for client in 0..5 {
        hear(&mut census, START, &Ask::discover(client));
        census.need_of(START, &hardware(client), NeedKind::Neighbour, "192.0.2.9");
    }
    disk.write(&mut census);
    let id = census.find(&hardware(3)).unwrap();
    assert!(census.forget(id) && census.has_news());
    disk.write(&mut census);
    assert!(disk.clients.len() == 4 && !disk.text().contains(&hardware(3).to_string()));
    census.forget_all();
    disk.write(&mut census);
    assert!(disk.clients.is_empty() && census.is_empty() && census.common_needs().is_empty());
    assert!(census.find(&hardware(1)).is_none());
}

#[test]
fn invented_hosts_do_not_push_out_those_that_were_there_for_hours() {
    let limits = Limits { clients: 100, common: 50, needs: 4, ..Limits::default() };
    let mut census = Census::new(KEY, Privacy::Named, limits);
    for client in 0..60 {
        census.sighting_of(START, &hardware(client), Sighting::Ipv6);
        census.sighting_of(START + HOUR, &hardware(client), Sighting::Ipv6);
    }
    let flood = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        Hardware::ethernet([2, 0xee, 0, a, b, c])
    };
    let now = START + HOUR * 2;
    for n in 0..20_000 {
        census.sighting_of(now, &flood(n), Sighting::Arp);
        census.need_of(now, &flood(n), NeedKind::Neighbour, &format!("192.0.2.{n}"));
    }
    assert_eq!(census.len(), 100);
    assert!((0..60).all(|client| census.find(&hardware(client)).is_some()));
    assert_eq!(census.report(now).evicted, 19_960);
    assert!(census.common_needs().len() <= 50);
    for n in 0..1_000 {
        census.need_of(now, &hardware(1), NeedKind::Name, &format!("{n}.example"));
    }
    let row = rows(&census, now).into_iter().find(|row| row.hardware == Some(hardware(1))).unwrap();
    assert_eq!(row.needs.len(), 4);
    // What was never written does not have to be removed.
    let changes = census.changes(usize::MAX);
    assert!(changes.len() == 100 && changes.iter().all(|(_, record)| record.is_some()));
    assert_eq!(census.kept().len(), 100);
}

/// A card goes from one client to another: a restart does not give it back.
#[test]
fn a_card_stays_with_who_had_it_last() {
    for order in [[1, 2], [2, 1]] {
        let mut census = self::census(Privacy::Hashed);
        for (n, iaid) in order.into_iter().enumerate() {
            let duid = sixgate_wire::dhcpv6::Duid::link_layer([2, 0, 0, 0, 9, iaid]);
            let id = sixgate_wire::dhcpv4::ClientId::duid(iaid.into(), &duid);
            let now = START + HOUR * u32::try_from(n).unwrap();
            hear(&mut census, now, &Ask::discover(1).capable().with(OptionCode::CLIENT_ID, id.as_bytes()));
        }
        let mut disk = Disk::default();
        disk.write(&mut census);
        let again = disk.restore(START + HOUR, Privacy::Hashed, Limits::default());
        assert_eq!(again.len(), 2);
        assert_eq!(again.find(&hardware(1)), census.find(&hardware(1)));
    }
}

#[test]
fn any_record_is_survived() {
    let mut census = self::census(Privacy::Named);
    let now = busy(&mut census);
    let mut disk = Disk::default();
    disk.write(&mut census);
    let (id, whole) = disk.clients.first_key_value().unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            let at = rng.usize(..bytes.len());
            bytes[at] = if rng.bool() { rng.u8(..) } else { b"0189 \n|:,"[rng.usize(..9)] };
        }
        bytes.truncate(rng.usize(..=bytes.len()));
        let mut again = self::census(Privacy::Named);
        again.restore(now, *id, &bytes);
        again.restore_days(&bytes);
        assert!(again.len() <= 1);
        let _ = again.report(now + DAY);
        again.sighting_of(now + DAY, &hardware(1), Sighting::Arp);
        again.expire(now + DAY * 1_000);
        assert!(again.is_empty());
    }
}

/// ARP frames are counted by minute and by hour.
#[test]
fn arp_is_counted_by_minute_and_by_hour() {
    let mut census = self::census(Privacy::Hashed);
    let start = secs(START.as_secs() / 3_600 * 3_600);
    for second in 0..7_200 {
        if second < 3_600 || second % 60 == 0 {
            census.sighting_of(start + secs(second), &hardware(1), Sighting::Arp);
        }
    }
    let at = |now| {
        let row = rows(&census, now).remove(0);
        (row.arp_last_minute, row.arp_this_hour, row.arp_an_hour, row.arp_total)
    };
    assert_eq!(at(start + secs(7_199)), (1, 60, 3_600, 3_660));
    assert_eq!(at(start + secs(7_200)), (1, 0, 60, 3_660));
    assert_eq!(at(start + secs(7_260)), (0, 0, 60, 3_660));
    assert_eq!(at(start + secs(20_000)), (0, 0, 0, 3_660));
}
