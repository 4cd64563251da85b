//! Who could live without IPv4, as far as one can be sure.

use crate::asking::{Ask, Desk, START, WAIT, config, hardware, mostly_link, secs};
use sixgate_dhcp::v4::census::{Census, Family, Limits, Line, Privacy, Row, Sighting, Stage, wilson};
use sixgate_wire::dhcpv4::{ClientId, Hardware, Message, OptionCode};
use sixgate_wire::dhcpv6::Duid;
use std::time::Duration;

const KEY: [u8; 16] = [3; 16];
const HOUR: Duration = Duration::from_hours(1);

fn census(privacy: Privacy) -> Census {
    Census::new(KEY, privacy, Limits::default())
}

fn hear(census: &mut Census, now: Duration, ask: &Ask) {
    census.message(now, &Message::parse(&ask.bytes()).unwrap());
}

fn only(census: &Census, now: Duration) -> Row {
    let mut rows = census.rows(now);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// Every hour the same, for a while; the time after it.
fn hours(census: &mut Census, from: Duration, count: u32, client: u16, seen: &[Sighting]) -> Duration {
    for hour in 0..count {
        for &sighting in seen {
            census.sighting_of(from + HOUR * hour, &hardware(client), sighting);
        }
    }
    from + HOUR * count
}

#[test]
fn sureness_grows_with_time_and_a_need_ends_it() {
    let mut census = census(Privacy::Hashed);
    let good = [Sighting::Ipv6, Sighting::Aaaa, Sighting::Reached];
    let now = hours(&mut census, START, 15, 1, &good);
    let row = only(&census, now);
    assert_eq!((row.score.stage, row.ready, row.score.hours), (Stage::Capable, false, 15));
    let now = hours(&mut census, now, 1, 1, &good);
    let row = only(&census, now);
    assert!(row.ready && (0.8..0.81).contains(&row.score.low), "{row:?}");
    // An hour in which it is away says nothing.
    let later = only(&census, now + HOUR * 100);
    assert_eq!((later.score.hours, later.ready), (16, true));
    // A literal.
    let now = hours(&mut census, now, 1, 1, &[Sighting::NeedsIpv4]);
    let row = only(&census, now);
    assert_eq!((row.score.stage, row.ready, row.score.hours), (Stage::Mixed, false, 17));
    // Steps before that.
    for (seen, stage) in [
        (&[Sighting::Arp][..], Stage::NoIpv6),
        (&[Sighting::Ipv6], Stage::Addressed),
        (&[Sighting::Ipv6, Sighting::Aaaa], Stage::Capable),
        (&[Sighting::Translated], Stage::Translates),
    ] {
        let mut census = self::census(Privacy::Hashed);
        let now = hours(&mut census, START, 2, 1, seen);
        let row = only(&census, now);
        assert_eq!(row.score.stage, stage);
        assert_eq!(row.arp_an_hour, u32::from(seen[0] == Sighting::Arp));
    }
}

/// The census beside the server, hearing both sides.
#[test]
fn a_trial_is_worth_more_and_its_failure_decides() {
    let mut census = census(Privacy::Hashed);
    let mut desk = Desk::new(config(vec![mostly_link()]));
    let say = |census: &mut Census, desk: &mut Desk, ask: &Ask| {
        hear(census, desk.now, ask);
        let heard = desk.ask(ask).unwrap();
        census.answer(desk.now, &Message::parse(&heard.bytes).unwrap());
        heard
    };
    let ask = Ask::discover(1).capable();
    say(&mut census, &mut desk, &ask);
    assert_eq!(only(&census, desk.now).score.stage, Stage::NoIpv6, "being told is not doing");
    for _ in 0..100 {
        // It comes back when its wait is over, and is told again.
        desk.pass(secs(WAIT.into()));
        say(&mut census, &mut desk, &ask);
        census.sighting_of(desk.now, &hardware(1), Sighting::Reached);
    }
    // It joins the network anew: that is no failure.
    desk.pass(secs(100));
    say(&mut census, &mut desk, &ask);
    desk.pass(HOUR);
    let row = only(&census, desk.now);
    assert!(row.score.stage == Stage::Without && row.ready && row.score.low > 0.9, "{row:?}");
    assert!((row.score.best - 1.0).abs() < 1e-9 && row.fingerprint.asks_v6only());
    // It takes an address that it was not to ask for.
    say(&mut census, &mut desk, &ask);
    desk.pass(secs(10));
    let offer = say(&mut census, &mut desk, &ask);
    say(&mut census, &mut desk, &Ask::select(1, offer.address).capable());
    let before = row.score.low;
    let row = only(&census, desk.now + HOUR);
    assert!(row.score.stage != Stage::Without && row.score.low < before, "{row:?}");
    assert!(row.score.best < 1.0);

    // Out of the pilot: given an address, it is without no longer, and nothing is held against it.
    let mut census = self::census(Privacy::Hashed);
    let mut desk = Desk::new(config(vec![mostly_link()]));
    say(&mut census, &mut desk, &ask);
    desk.pass(HOUR * 2);
    assert_eq!(only(&census, desk.now).score.stage, Stage::Without);
    desk.pilot(sixgate_dhcp::v4::Pilot::nobody(crate::asking::KEY));
    let offer = say(&mut census, &mut desk, &ask);
    say(&mut census, &mut desk, &Ask::select(1, offer.address).capable());
    desk.pass(HOUR * 2);
    let row = only(&census, desk.now);
    assert_eq!((row.score.stage, row.score.hours), (Stage::NoIpv6, 2));
}

#[test]
fn kinds_are_told_by_how_they_ask() {
    let ask = |list: &[u8], vendor: &str, name: &str| {
        let mut ask = Ask::discover(1).with(OptionCode::PARAMETER_REQUEST_LIST, list);
        for (code, text) in [(OptionCode::VENDOR_CLASS, vendor), (OptionCode::HOST_NAME, name)] {
            if !text.is_empty() {
                ask = ask.with(code, text.as_bytes());
            }
        }
        ask
    };
    for (ask, family, print) in [
        (
            ask(&[1, 121, 3, 6, 15, 108, 114, 119, 252], "", "Annas-iPhone"),
            Family::Apple,
            "1,121,3,6,15,108,114,119,252||iphone",
        ),
        (ask(&[1, 3, 6, 108], "android-dhcp-15", ""), Family::Android, "1,3,6,108|android-dhcp-15|"),
        (
            ask(&[1, 3, 6, 15, 31], "MSFT 5.0", "DESKTOP-A1B2C3D"),
            Family::Windows,
            "1,3,6,15,31|MSFT 5.0|desktop-",
        ),
        (ask(&[1, 3, 6], "dhcpcd-9.4.1:Linux-6.12:x86_64", "pc"), Family::Linux, "1,3,6|dhcpcd-9.4.1|"),
        (ask(&[1, 28, 2, 3, 15, 6, 12], "", ""), Family::Linux, "1,28,2,3,15,6,12||"),
        (
            ask(&[1, 3, 6, 12, 15, 28, 42], "udhcp 1.35.0", ""),
            Family::Embedded,
            "1,3,6,12,15,28,42|udhcp 1.35.0|",
        ),
        (
            ask(&[1, 3], "Camera 00408C123456 facade 5.40.9 decade77x", ""),
            Family::Unknown,
            "1,3|Camera # facade 5.40.9 #x|",
        ),
        (ask(&[1, 3], "", "kitchen-printer"), Family::Embedded, "1,3||printer"),
        (ask(&[], "", ""), Family::Unknown, "||"),
    ] {
        let mut census = census(Privacy::Hashed);
        hear(&mut census, START, &ask);
        let row = only(&census, START);
        assert_eq!((row.family, row.fingerprint.to_string().as_str()), (family, print));
    }
}

#[test]
fn names_are_kept_only_if_they_may_be() {
    let named = Ask::discover(1).with(OptionCode::HOST_NAME, b"annas-laptop");
    let mut census = census(Privacy::Hashed);
    hear(&mut census, START, &named);
    census.sighting_of(START, &hardware(1), Sighting::Ipv6);
    let row = only(&census, START);
    assert_eq!((&row.hostname, row.hardware), (&None, None));
    let all = format!("{census:?}").to_lowercase();
    assert!(!all.contains("anna") && !all.contains(&hardware(1).to_string()), "{all}");
    let mut census = self::census(Privacy::Named);
    hear(&mut census, START, &named);
    let row = only(&census, START);
    assert_eq!((row.hostname.as_deref(), row.hardware), (Some("annas-laptop"), Some(hardware(1))));
    census.set_privacy(Privacy::Hashed);
    assert!(!format!("{census:?}").contains("anna"));
    // Another key, other ids.
    let mut other = Census::new([4; 16], Privacy::Hashed, Limits::default());
    hear(&mut other, START, &named);
    assert_ne!(only(&other, START).id, only(&census, START).id);
}

#[test]
fn one_host_is_one_client() {
    let mut census = census(Privacy::Hashed);
    // Its neighbour's cache knew it before it asked, with a DUID.
    census.sighting_of(START, &hardware(1), Sighting::Ipv6);
    let duid = Duid::link_layer([2, 0, 0, 0, 9, 9]);
    let ask = |client, iaid| {
        Ask::discover(client).with(OptionCode::CLIENT_ID, ClientId::duid(iaid, &duid).as_bytes())
    };
    hear(&mut census, START, &ask(1, 1));
    census.sighting_of(START, &hardware(1), Sighting::Aaaa);
    assert_eq!(only(&census, START).score.stage, Stage::Capable);
    // The same host by another card.
    hear(&mut census, START, &ask(2, 2));
    census.sighting(START, &ClientId::duid(3, &duid), Sighting::Translated);
    assert_eq!(only(&census, START).score.stage, Stage::Translates);
    // What belongs to nobody is somebody else's.
    census.sighting_of(START, &hardware(1), Sighting::Ipv6);
    assert_eq!(census.len(), 2);
}

#[test]
fn it_is_bounded_and_forgets() {
    let limits = Limits { clients: 100, retention: secs(86_400), ..Limits::default() };
    let mut census = Census::new(KEY, Privacy::Named, limits);
    for client in 0..1_000 {
        let now = START + secs(client.into());
        hear(&mut census, now, &Ask::discover(client));
        census.sighting_of(now, &hardware(client), Sighting::Arp);
    }
    assert_eq!((census.len(), census.report(START).evicted), (100, 900));
    census.expire(START + secs(86_400 + 950));
    assert_eq!(census.len(), 49);
    census.expire(START + secs(2 * 86_400));
    assert!(census.is_empty());
}

#[test]
fn the_report_has_lines_and_both_counts() {
    let mut census = census(Privacy::Hashed);
    let good = [Sighting::Ipv6, Sighting::Aaaa, Sighting::Reached];
    // Two hundred: a tenth ready. Of half of them the address is their maker's.
    let card = |n: u8| Hardware::ethernet([if n.is_multiple_of(2) { 0 } else { 2 }, 0, 0x5e, 0, 0, n]);
    for hour in 0..40 {
        for client in 0..200 {
            let seen = if client < 20 { &good[..] } else { &[Sighting::Ipv6, Sighting::NeedsIpv4] };
            for &sighting in seen {
                census.sighting_of(START + HOUR * hour, &card(client), sighting);
            }
        }
    }
    let report = census.report(START + HOUR * 40);
    assert_eq!((report.ready.count, report.ready.of), (20, 200));
    assert_eq!((report.ready_stable.count, report.ready_stable.of), (10, 100));
    assert!(report.ready.low > 0.065 && report.ready.high < 0.15, "{report:?}");
    let lines = [1, 2, 5, 10, 20].map(|line| report.ready.line(line));
    assert_eq!(lines, [Line::Reached, Line::Reached, Line::Reached, Line::Open, Line::Missed]);
    assert_eq!((report.without.count, report.asking.count), (0, 0));
    assert_eq!(report.families[&Family::Unknown].of, 200);
}

/// Of a thousand simulated networks about 95 in 100 have their true share inside of the interval.
#[test]
fn the_interval_holds_what_it_promises() {
    let mut rng = fastrand::Rng::with_seed(11);
    for (share, clients) in [(0.02, 200), (0.1, 50), (0.5, 30), (0.85, 400)] {
        let networks = 2_000;
        let within = (0..networks)
            .filter(|_| {
                let ready = (0..clients).filter(|_| rng.f64() < share).count() as u64;
                let (low, high) = wilson(ready, clients);
                (low..=high).contains(&share)
            })
            .count();
        let covered = f64::from(u32::try_from(within).unwrap()) / f64::from(networks);
        assert!((0.92..0.985).contains(&covered), "{share} of {clients}: {covered}");
    }
}
