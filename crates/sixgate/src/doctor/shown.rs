//! The report for people.

use super::Placed;
use super::judge::{Place, Severity};
use super::seen::{Asked, Seen};
use crate::measure::shown::{ms, table};
use std::fmt::Write as _;
use std::io::IsTerminal as _;

pub(super) fn told(seen: &Seen, findings: &[Placed<'_>]) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = format!("{}, MTU {}\n\n{}\n", seen.interface, seen.mtu, table(&rows(seen)));
    if findings.is_empty() {
        out.push_str("nothing is missing or wrong, as far as was looked\n");
    } else {
        let _ = writeln!(out, "to mend, the first first:\n");
    }
    for (number, Placed { finding, place }) in findings.iter().enumerate() {
        let (paint, plain) = match finding.severity {
            _ if !colour => ("", ""),
            Severity::Error => ("\x1b[1;31m", "\x1b[0m"),
            Severity::Warning => ("\x1b[1;33m", "\x1b[0m"),
            Severity::Note => ("\x1b[1m", "\x1b[0m"),
        };
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let _ = writeln!(
            out,
            "{}. {paint}{severity}[{}]{plain}: {}\n   seen:   {}\n   why:    {}\n   where:  {}\n   remedy: {}\n",
            number + 1,
            finding.id,
            clean(&finding.what),
            clean(&finding.evidence),
            finding.why,
            place.map_or("not to be seen from here", Place::text),
            finding.remedy
        );
    }
    for left in &seen.left_out {
        let _ = writeln!(out, "not looked at: {}", clean(left));
    }
    if seen.target.is_none() {
        out.push_str("not looked at: what is beyond this network; --target HOST does that\n");
    }
    if !seen.loaded {
        out.push_str("an idle line hides its queues: --load HOST --token TOKEN loads it while its delay is looked at\n");
    }
    out
}

/// What others sent does not command the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What there is, a line for each.
fn rows(seen: &Seen) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |what: &str, told: String| rows.push(vec![format!("{what:<9} {}", clean(&told))]);
    for router in seen.routers.iter().filter(|router| router.invalid.is_none()) {
        let prefixes: Vec<&str> = router.prefixes.iter().map(|prefix| prefix.prefix.as_str()).collect();
        let mut told =
            format!("{}, way out for {} s, {}", router.address, router.lifetime, prefixes.join(" "));
        for (flag, set) in [("M", router.managed), ("O", router.other)] {
            if set {
                let _ = write!(told, ", {flag}");
            }
        }
        if let Some(mtu) = router.mtu {
            let _ = write!(told, ", MTU {mtu}");
        }
        if let Some((prefix, _)) = &router.pref64 {
            let _ = write!(told, ", PREF64 {prefix}");
        }
        row("router", told);
    }
    match &seen.dhcpv6 {
        Asked::Answer(answer) => row("DHCPv6", format!("{} answers", answer.server)),
        Asked::Silence => row("DHCPv6", "nobody answers".to_owned()),
        Asked::Never => {}
    }
    match &seen.dhcpv4 {
        Asked::Answer(answer) => {
            let only = answer.ipv6_only.map_or_else(String::new, |wait| format!(", option 108 ({wait} s)"));
            row("DHCPv4", format!("{} offers an address{only}", answer.server));
        }
        Asked::Silence => row("DHCPv4", "nobody answers".to_owned()),
        Asked::Never => {}
    }
    for resolver in &seen.resolvers {
        let time = sixgate_measure::stats::summary(&resolver.answers_ms);
        let time = time.map_or_else(|| "silent".to_owned(), |summary| format!("{} ms", ms(summary.median)));
        let dns64 = if resolver.dns64.is_empty() { "" } else { ", DNS64" };
        row("resolver", format!("{} ({}), {time}{dns64}", resolver.address, resolver.told_by));
    }
    if let Some(path) = &seen.path {
        for hop in &path.hops {
            let from = hop.from.clone().unwrap_or_else(|| "nobody answers".to_owned());
            let times = hop.rtt_ms.as_ref();
            let times =
                times.map_or_else(String::new, |rtt| format!(", {} to {} ms", ms(rtt.min), ms(rtt.p95)));
            row(&format!("hop {}", hop.number), format!("{from}{times}"));
        }
    }
    if let Some(local) = &seen.local {
        let driver = local.bql.as_ref().map_or_else(
            || "no byte queue limits".to_owned(),
            |bql| format!("its driver had {} of at most {} octets", bql.inflight, bql.limit),
        );
        let wait = local.wait_ms.filter(|_| local.octets > 0.0);
        let wait = wait.map_or_else(String::new, |wait| format!(", {} ms", ms(wait)));
        row(
            "queue",
            format!("{} here ({}): {:.0} octets{wait}; {driver}", seen.interface, local.kind, local.octets),
        );
    }
    for software in &seen.software {
        row("software", format!("{} {} on {}", software.name, software.version, software.runs));
    }
    if let Some(target) = &seen.target {
        for (family, reached) in [("IPv6", &target.ipv6), ("IPv4", &target.ipv4)] {
            if let Some(reached) = reached {
                let how = reached.ms.map_or_else(|| "failed".to_owned(), |took| format!("{} ms", ms(took)));
                row("target", format!("{} over {family}: {how}", target.name));
            }
        }
    }
    rows
}
