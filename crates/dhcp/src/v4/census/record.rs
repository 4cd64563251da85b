//! What outlives a restart, as text: one record for each client, and one of days. A line begins with what it
//! is; lines that are not understood are left out, so that an older version reads what a newer one wrote.

use super::client::{Client, Counted, Rate};
use super::fingerprint::{Family, Fingerprint};
use super::needs::{Need, NeedKind};
use super::score::Tally;
use super::{Day, Privacy};
use sixgate_wire::dhcpv4::Hardware;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

/// One client. Names are written only if they may be kept, whatever the client has.
pub(super) fn encode(client: &Client, privacy: Privacy) -> Vec<u8> {
    let c = &client.counted;
    let mut text = String::new();
    let secs = |time: Duration| time.as_secs();
    let _ = writeln!(text, "seen {} {}", secs(c.first), secs(c.last));
    let _ = writeln!(text, "hour {} {} {}", c.hour, u8::from(c.against), u8::from(c.tried));
    let (hour, minute) = (c.arp_hour, c.arp_minute);
    let _ = writeln!(
        text,
        "arp {} {} {} {} {} {} {}",
        c.arp, hour.stretch, hour.now, hour.before, minute.stretch, minute.now, minute.before
    );
    for (word, tally) in [("passive", c.passive), ("trial", c.trial)] {
        let _ = writeln!(text, "{word} {} {}", tally.hours, tally.against);
    }
    for (word, on) in FLAGS.into_iter().zip(flags(c)) {
        if on {
            let _ = writeln!(text, "{word}");
        }
    }
    if let Some(told) = c.without {
        let _ = writeln!(text, "without {}", secs(told));
    }
    if let Some(family) = c.family {
        let _ = writeln!(text, "family {}", family.name());
    }
    if let Some(card) = c.card {
        let _ = writeln!(text, "card {card:016x}");
    }
    if client.fingerprint != Fingerprint::default() {
        let _ = writeln!(text, "fingerprint {}", client.fingerprint);
    }
    for need in &client.needs.0 {
        let _ = write!(text, "need {} {} {}", need.kind.name(), need.count, secs(need.last));
        match &need.what {
            Some(what) if privacy == Privacy::Named => {
                let _ = writeln!(text, " {what}");
            }
            _ => text.push('\n'),
        }
    }
    if privacy == Privacy::Named {
        if let Some(hostname) = &client.hostname {
            let _ = writeln!(text, "hostname {hostname}");
        }
        if let Some(hardware) = &client.hardware {
            let _ = writeln!(text, "hardware {} {hardware}", hardware.kind());
        }
    }
    text.into_bytes()
}

const FLAGS: [&str; 6] = ["ipv6", "aaaa", "translates", "discovers", "encrypts", "randomised"];

fn flags(c: &Counted) -> [bool; 6] {
    [c.ipv6, c.aaaa, c.translates, c.discovers, c.encrypts, c.randomised]
}

/// What [`encode`] wrote; `None` for what it did not.
pub(super) fn decode(bytes: &[u8]) -> Option<Client> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut client = Client::default();
    let mut seen = false;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "seen" {
            seen = true;
        }
        // A line that is damaged says nothing.
        let _ = read(&mut client, word, rest);
    }
    seen.then_some(client)
}

fn read(client: &mut Client, word: &str, rest: &str) -> Option<()> {
    let c = &mut client.counted;
    let mut words = rest.split_ascii_whitespace();
    match word {
        "seen" => (c.first, c.last) = (time(&mut words)?, time(&mut words)?),
        "hour" => {
            c.hour = number(&mut words)?;
            (c.against, c.tried) = (words.next()? == "1", words.next()? == "1");
        }
        "arp" => {
            c.arp = number(&mut words)?;
            (c.arp_hour, c.arp_minute) = (rate(&mut words)?, rate(&mut words)?);
        }
        "passive" => c.passive = tally(&mut words)?,
        "trial" => c.trial = tally(&mut words)?,
        "ipv6" => c.ipv6 = true,
        "aaaa" => c.aaaa = true,
        "translates" => c.translates = true,
        "discovers" => c.discovers = true,
        "encrypts" => c.encrypts = true,
        "randomised" => c.randomised = true,
        "without" => c.without = Some(time(&mut words)?),
        "family" => c.family = Family::from_name(rest),
        "card" => c.card = u64::from_str_radix(rest, 16).ok(),
        "fingerprint" => client.fingerprint = Fingerprint::from_text(rest)?,
        "need" => {
            let kind = NeedKind::from_name(words.next()?)?;
            let (count, last) = (small(&mut words)?, time(&mut words)?);
            client.needs.0.push(Need { kind, what: words.next().map(str::to_owned), count, last });
        }
        "hostname" => client.hostname = Some(rest.to_owned()),
        "hardware" => {
            let kind = words.next()?.parse().ok()?;
            let octets: Option<Vec<u8>> =
                words.next()?.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
            client.hardware = Hardware::new(kind, &octets?);
        }
        _ => {}
    }
    Some(())
}

fn number(words: &mut SplitAsciiWhitespace<'_>) -> Option<u64> {
    words.next()?.parse().ok()
}

fn small(words: &mut SplitAsciiWhitespace<'_>) -> Option<u32> {
    words.next()?.parse().ok()
}

fn time(words: &mut SplitAsciiWhitespace<'_>) -> Option<Duration> {
    number(words).map(Duration::from_secs)
}

fn tally(words: &mut SplitAsciiWhitespace<'_>) -> Option<Tally> {
    let (hours, against) = (small(words)?, small(words)?);
    Some(Tally { hours, against: against.min(hours) })
}

fn rate(words: &mut SplitAsciiWhitespace<'_>) -> Option<Rate> {
    Some(Rate { stretch: number(words)?, now: small(words)?, before: small(words)? })
}

/// One day a line: its number since the Unix epoch, clients, and of those the ready, those that live without IPv4
/// and those that ask for option 108.
pub(super) fn encode_days(days: &BTreeMap<u64, Day>) -> Vec<u8> {
    let line = |text: String, (day, d): (&u64, &Day)| {
        text + &format!("{day} {} {} {} {}\n", d.clients, d.ready, d.without, d.asking)
    };
    days.iter().fold(String::new(), line).into_bytes()
}

/// What [`encode_days`] wrote; lines that it did not write are left out.
pub(super) fn decode_days(bytes: &[u8]) -> BTreeMap<u64, Day> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let day = number(&mut words)?;
        let mut next = || number(&mut words);
        Some((day, Day { clients: next()?, ready: next()?, without: next()?, asking: next()? }))
    };
    String::from_utf8_lossy(bytes).lines().filter_map(line).collect()
}
