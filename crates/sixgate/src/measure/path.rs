//! `sixgate measure path`: hops, where delay stands, and the largest packet that passes.

use super::cli::PathTo;
use super::entry::Entry;
use super::icmp::Icmp;
use super::shown::{Progress, ms, table};
use crate::{Outcome, print};
use serde::Serialize;
use sixgate_endpoint::connect::FamilyChoice;
use sixgate_endpoint::{Endpoint, Family, Host, resolve};
use sixgate_measure::icmp::Said;
use sixgate_measure::path::{Fate, Hop, Pmtu, Search, Standing, standing};
use sixgate_measure::stats::ms as millis;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Hops that are asked.
const MOST_HOPS: u8 = 30;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Hops that are asked behind the last one that answers.
const BEHIND: u8 = 4;
/// Between two packets: routers answer only so many a second.
const PACE: Duration = Duration::from_millis(10);
/// How often a packet of one size is sent before it counts as lost for its size.
const TRIES: u32 = 3;
/// Waiting that is told of, in milliseconds: four times CoDel's target. Less may be this machine's own.
pub(crate) const WAIT_MS: f64 = 20.0;
/// The largest MTU that is looked for.
const LARGEST: u32 = 9000;

/// A path of one family.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Traced {
    pub(crate) to: String,
    pub(crate) family: String,
    /// The number of the hop that is the host itself; null where it does not answer echo requests.
    pub(crate) reached: Option<u8>,
    pub(crate) hops: Vec<Hop>,
    /// Where packets wait.
    pub(crate) standing: Option<Standing>,
    pub(crate) pmtu: Pmtu,
}

pub(super) fn command(arguments: &PathTo) -> Outcome {
    let choice = arguments.family.choice().unwrap_or_default();
    let addresses = match addresses(&arguments.host, choice) {
        Ok(addresses) => addresses,
        Err(error) => return crate::fail(&error),
    };
    let mut progress = Progress::new(arguments.json);
    let mut paths = Vec::new();
    for (endpoint, address) in addresses {
        progress.show(&format!("path to {endpoint}"), "");
        match trace(address, endpoint, arguments.rounds) {
            Ok(path) => paths.push(path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                drop(progress);
                crate::say(&format!(
                    "sixgate: cannot send echo requests: {error}\n  = help: run as root, or give this process CAP_NET_RAW\n"
                ));
                return Outcome::Refused;
            }
            // One family may have no way at all; the other's path is told.
            Err(error) => crate::say(&format!("sixgate: no path to {endpoint}: {error}\n")),
        }
    }
    drop(progress);
    let entries: Vec<Entry> = paths.iter().map(|path| entry(&arguments.host, path)).collect();
    let text = if arguments.json {
        format!(
            "{:#}\n",
            serde_json::json!({ "host": arguments.host.to_string(), "paths": paths, "entries": entries })
        )
    } else {
        paths.iter().map(told).collect::<Vec<_>>().join("\n")
    };
    let outcome = match arguments.export.export(&entries, text) {
        Ok(text) => print(&text),
        Err(outcome) => return outcome,
    };
    if paths.iter().any(|path| path.reached.is_some()) {
        outcome
    } else {
        crate::fail(&format!("{} answers no echo request over either family", arguments.host))
    }
}

/// For exports.
fn entry(host: &Host, path: &Traced) -> Entry {
    let end = path.reached.and_then(|number| path.hops.iter().find(|hop| hop.number == number));
    let entry = Entry::now("path, by echo requests with rising hop limits", host, Some(&path.family))
        .with("hops", path.reached.map(f64::from))
        .with("round_trip_ms", end.and_then(|hop| hop.rtt_ms.as_ref()).map(|rtt| rtt.median))
        .with("wait_ms", path.standing.as_ref().map(|standing| standing.wait_ms))
        .with("mtu_octets", path.pmtu.works.map(f64::from))
        .with(
            "lost_percent",
            end.map(|hop| 100.0 * (1.0 - f64::from(hop.answered) / f64::from(hop.sent.max(1)))),
        );
    if path.reached.is_some() { entry } else { entry.failed("the host itself does not answer") }
}

/// The first address of each family that is allowed.
pub(crate) fn addresses(host: &Host, choice: FamilyChoice) -> Result<Vec<(Endpoint, SocketAddr)>, String> {
    let all = match host.endpoint() {
        Some(endpoint) => vec![endpoint],
        None => resolve::lookup(host, 0).map_err(|error| error.to_string())?,
    };
    let first = |family| all.iter().find(|at: &&Endpoint| at.family() == family && choice.allows(family));
    let found: Vec<(Endpoint, SocketAddr)> = [Family::V6, Family::V4]
        .into_iter()
        .filter_map(first)
        .filter_map(|at| {
            let index = sixgate_endpoint::interface_index;
            Some((at.without_port(), at.to_socket_addr(0, index)?))
        })
        .collect();
    if found.is_empty() {
        Err(format!("{host} has no address of the family that is allowed"))
    } else {
        Ok(found)
    }
}

/// Traces the path, and searches its MTU.
pub(crate) fn trace(address: SocketAddr, endpoint: Endpoint, rounds: u32) -> io::Result<Traced> {
    let mut icmp = Icmp::open(address)?;
    let sampled = sample(&mut icmp, address.ip(), rounds, PACE)?;
    let (reached, waits) = (sampled.reached, sampled.waits);
    let standing = standing(&sampled.hops, &waits, WAIT_MS);
    let pmtu = path_mtu(address)?;
    Ok(Traced {
        to: endpoint.to_string(),
        family: endpoint.family().to_string(),
        reached,
        hops: sampled.hops,
        standing,
        pmtu,
    })
}

/// The hops of a path, and the times of each.
pub(crate) struct Sampled {
    pub(crate) hops: Vec<Hop>,
    pub(crate) waits: Vec<Vec<f64>>,
    pub(crate) reached: Option<u8>,
}

/// Asks all hops in turn, `rounds` times.
pub(crate) fn sample(icmp: &mut Icmp, to: IpAddr, rounds: u32, pace: Duration) -> io::Result<Sampled> {
    let mut asked = Asked::new(to);
    let mut last = MOST_HOPS;
    for round in 0..rounds {
        let mut next = Instant::now();
        asked.begin(round as u16);
        for limit in 1..=last {
            while asked.hear(icmp, next)? {}
            icmp.set_hop_limit(limit)?;
            asked.sends(limit);
            icmp.send(asked.sequence(limit), 0)?;
            next = Instant::now() + pace;
        }
        let until = Instant::now() + if round == 0 { PATIENCE } else { asked.patience() };
        while asked.waits(last) && asked.hear(icmp, until)? {}
        // Where nobody answers any more, few hops are asked again.
        last = asked.reached.unwrap_or_else(|| last.min(asked.answering() + BEHIND));
    }
    let Asked { mut from, mut times, reached, .. } = asked;
    let known = usize::from(reached.unwrap_or_else(|| {
        // The last that answered at all, and one more: where it goes silent.
        (from.iter().rposition(Option::is_some).map_or(0, |index| index + 2)).min(usize::from(MOST_HOPS))
            as u8
    }));
    from.truncate(known);
    times.truncate(known);
    let hops = from
        .iter()
        .zip(&times)
        .zip(1..)
        .map(|((from, times), number)| {
            Hop::new(number, from.map(|at| Endpoint::new(at).to_string()), times, rounds)
        })
        .collect();
    Ok(Sampled { hops, waits: times, reached })
}

/// Who was asked, and what came back.
struct Asked {
    to: IpAddr,
    round: u16,
    sent: Vec<Option<Instant>>,
    from: Vec<Option<IpAddr>>,
    times: Vec<Vec<f64>>,
    reached: Option<u8>,
}

impl Asked {
    fn new(to: IpAddr) -> Self {
        let most = usize::from(MOST_HOPS);
        Self {
            to,
            round: 0,
            sent: vec![None; most],
            from: vec![None; most],
            times: vec![Vec::new(); most],
            reached: None,
        }
    }

    fn begin(&mut self, round: u16) {
        self.round = round;
        self.sent.fill(None);
    }

    /// Hop limit and round in one number, by which answers are known.
    fn sequence(&self, limit: u8) -> u16 {
        self.round << 5 | u16::from(limit)
    }

    fn sends(&mut self, limit: u8) {
        if let Some(slot) = self.sent.get_mut(usize::from(limit) - 1) {
            *slot = Some(Instant::now());
        }
    }

    /// How long is waited for answers, from how long they took so far.
    fn patience(&self) -> Duration {
        let longest = self.times.iter().flatten().copied().fold(0.0, f64::max);
        Duration::from_secs_f64(longest * 4.0 / 1000.0).clamp(PATIENCE / 4, PATIENCE)
    }

    /// The last hop that ever answered.
    fn answering(&self) -> u8 {
        self.from.iter().rposition(Option::is_some).map_or(0, |index| index as u8 + 1)
    }

    /// Whether an answer of a hop before the host is still missing.
    fn waits(&self, last: u8) -> bool {
        self.sent.iter().take(usize::from(self.reached.unwrap_or(last))).any(Option::is_some)
    }

    /// Takes down one answer; `false` where none came until then.
    fn hear(&mut self, icmp: &mut Icmp, until: Instant) -> io::Result<bool> {
        let Some(heard) = icmp.receive(until)? else { return Ok(false) };
        let limit = (heard.answer.sequence & 31) as u8;
        let index = usize::from(limit.wrapping_sub(1));
        // One of an earlier round is too late.
        if heard.answer.sequence != self.sequence(limit) {
            return Ok(true);
        }
        let Some(left) = self.sent.get_mut(index).and_then(Option::take) else { return Ok(true) };
        if let (Some(from), Some(times)) = (self.from.get_mut(index), self.times.get_mut(index)) {
            *from = Some(heard.from);
            times.push(millis(heard.at.saturating_duration_since(left)));
        }
        if heard.answer.said == Said::Reply || heard.from == self.to {
            self.reached = Some(self.reached.unwrap_or(limit).min(limit));
        }
        Ok(true)
    }
}

/// The largest packet that passes to `address` and comes back.
pub(crate) fn path_mtu(address: SocketAddr) -> io::Result<Pmtu> {
    let mut icmp = Icmp::open(address)?;
    icmp.probe_path_mtu()?;
    // IPv4 promises 68 octets only (RFC 791), and carries these everywhere.
    let least = if Family::of(address.ip()) == Family::V6 { sixgate_measure::path::LEAST } else { 576 };
    let mut search = Search::new(least, LARGEST);
    let mut sequence = 0_u16;
    while let Some(size) = search.ask() {
        let mut fate = Fate::Silent;
        'tries: for _ in 0..TRIES {
            sequence = sequence.wrapping_add(1);
            match icmp.send(sequence, size as usize) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32) => {
                    fate = Fate::Local;
                    break;
                }
                Err(error) => return Err(error),
            }
            let until = Instant::now() + PATIENCE / 2;
            while let Some(heard) = icmp.receive(until)? {
                if heard.answer.sequence != sequence {
                    continue;
                }
                fate = match heard.answer.said {
                    Said::Reply => Fate::Passed,
                    Said::TooBig(mtu) => Fate::TooBig(mtu),
                    Said::HopLimit | Said::Unreachable(_) => continue,
                };
                break 'tries;
            }
        }
        search.tell(fate);
    }
    Ok(search.result())
}

fn told(path: &Traced) -> String {
    let mut rows =
        vec![["hop", "from", "least ms", "median ms", "most ms", "answered"].map(str::to_owned).to_vec()];
    for hop in &path.hops {
        let value = |pick: fn(&sixgate_measure::stats::Summary) -> f64| {
            hop.rtt_ms.as_ref().map_or_else(|| "-".to_owned(), |summary| ms(pick(summary)))
        };
        rows.push(vec![
            hop.number.to_string(),
            hop.from.clone().unwrap_or_else(|| "nobody answers".to_owned()),
            value(|summary| summary.min),
            value(|summary| summary.median),
            value(|summary| summary.max),
            format!("{} of {}", hop.answered, hop.sent),
        ]);
    }
    let mut out = format!("path to {} ({})\n\n{}", path.to, path.family, table(&rows));
    if path.reached.is_none() {
        out += "the host itself does not answer\n";
    }
    if let Some(standing) = &path.standing {
        let _ = writeln!(
            out,
            "packets wait {} ms between hop {} and hop {}",
            ms(standing.wait_ms),
            standing.after,
            standing.before
        );
    }
    out + &mtu_in_words(&path.pmtu)
}

/// The MTU in a sentence.
fn mtu_in_words(pmtu: &Pmtu) -> String {
    match (pmtu.works, pmtu.black_hole) {
        (Some(works), None) => format!("packets of {works} octets pass\n"),
        (Some(works), Some(hole)) => format!(
            "packets of {works} octets pass; those of {hole} vanish, and nobody says that they are too big: a black hole (RFC 2923)\n"
        ),
        (None, _) => "no packet of a size that must pass was answered\n".to_owned(),
    }
}
