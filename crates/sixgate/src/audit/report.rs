//! Findings as text, on one screen, and as JSON.

use super::walk::{Audit, Place};
use sixgate_audit::Severity;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// Lines of a terminal, three of them for the summary and one for what is not shown.
const SCREEN: usize = 24;
const SUMMARY: usize = 4;
/// Columns of a line.
const WIDTH: usize = 110;

/// Whether standard output wants colour.
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The report: on one screen, or everything.
pub(super) fn text(audit: &Audit, all: bool, colour: bool) -> String {
    let mut out = if all { every_place(audit, colour) } else { one_screen(audit, colour) };
    let count = |severity| audit.found.iter().filter(|place| place.finding.rule.severity == severity).count();
    let read: usize = audit.read.values().sum();
    let languages: Vec<String> =
        audit.read.iter().map(|(language, count)| format!("{} {count}", language.name())).collect();
    let skipped: Vec<String> =
        audit.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let _ = write!(out, "read: {}", plural(read, "file"));
    if !languages.is_empty() {
        let _ = write!(out, " ({})", languages.join(", "));
    }
    if !skipped.is_empty() {
        let _ = write!(out, "; skipped: {}", skipped.join(", "));
    }
    if !audit.folders.is_empty() {
        let folders: Vec<String> =
            audit.folders.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = write!(out, "; folders not entered: {}", folders.join(", "));
    }
    let _ = write!(
        out,
        "\nfound: {} ({}, {}, {})",
        plural(audit.found.len(), "place"),
        plural(count(Severity::Error), "error"),
        plural(count(Severity::Warning), "warning"),
        plural(count(Severity::Note), "note"),
    );
    for (count, what) in [
        (audit.allowed, "allowed by comments"),
        (audit.in_tests, "in test code (--tests)"),
        (audit.known, "known by the baseline"),
        (audit.dropped, "more in files with a thousand"),
    ] {
        if count > 0 {
            let _ = write!(out, "; {count} {what}");
        }
    }
    out.push('\n');
    if !audit.found.is_empty() && !all {
        out.push_str("why, and how to mend it: sixgate audit --explain RULE; every place: --all\n");
    }
    out
}

/// One line for each rule and file, the worst first.
fn one_screen(audit: &Audit, colour: bool) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Place>> = BTreeMap::new();
    for place in &audit.found {
        groups.entry((place.finding.rule.id, &place.path)).or_default().push(place);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    // Each group begins with its worst: they were ranked before.
    groups.sort_by(|a, b| {
        (b[0].finding.rank().cmp(&a[0].finding.rank())).then_with(|| a[0].path.cmp(&b[0].path))
    });
    let mut out = String::new();
    let most = SCREEN - SUMMARY;
    for group in groups.iter().take(most) {
        let first = group[0];
        let more = if group.len() > 1 { format!(" +{}", group.len() - 1) } else { String::new() };
        let place = format!("{}:{}{more}", printable(&first.shown), first.finding.line);
        let line = format!("{:<18} {place:<38} {}", first.finding.rule.id, first.finding.what);
        let severity = first.finding.rule.severity;
        let _ = writeln!(out, "{} {}", painted(severity, colour), cut(&line, WIDTH - 8));
    }
    if groups.len() > most {
        let _ = writeln!(out, "... and {} more (--all)", plural(groups.len() - most, "line"));
    }
    out
}

/// Every place, below the rule that found it.
fn every_place(audit: &Audit, colour: bool) -> String {
    let mut rules: Vec<(&str, Vec<&Place>)> = Vec::new();
    for place in &audit.found {
        match rules.iter_mut().find(|(id, _)| *id == place.finding.rule.id) {
            Some((_, places)) => places.push(place),
            None => rules.push((place.finding.rule.id, vec![place])),
        }
    }
    let mut out = String::new();
    for (id, mut places) in rules {
        let rule = places[0].finding.rule;
        let _ = writeln!(out, "{} {id}: {}", painted(rule.severity, colour), rule.title);
        let _ = writeln!(out, "  why: {}", rule.why);
        let mut mends: Vec<&str> = Vec::new();
        for place in &places {
            let mend = rule.mend(place.language);
            if !mends.contains(&mend) {
                mends.push(mend);
            }
        }
        for mend in mends {
            let _ = writeln!(out, "  mend: {mend}");
        }
        places.sort_by(|a, b| (&a.path, a.finding.line).cmp(&(&b.path, b.finding.line)));
        for place in places {
            let found = &place.finding;
            let _ = writeln!(
                out,
                "  {}:{}:{} ({}) {}",
                printable(&place.shown),
                found.line,
                found.column,
                found.confidence.name(),
                found.text
            );
        }
        out.push('\n');
    }
    out
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn painted(severity: Severity, colour: bool) -> String {
    let name = format!("{:<7}", severity.name());
    let code = match severity {
        Severity::Error => "31",
        Severity::Warning => "33",
        Severity::Note => "36",
    };
    if colour { format!("\x1b[{code}m{name}\x1b[0m") } else { name }
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.trim_end().to_owned();
    }
    line.chars().take(width - 3).chain("...".chars()).collect()
}

/// A file's name may hold anything; a terminal shall not obey it.
fn printable(path: &str) -> String {
    path.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Everything as one object.
pub(super) fn json(audit: &Audit) -> String {
    let findings: Vec<_> = audit
        .found
        .iter()
        .map(|place| {
            let found = &place.finding;
            serde_json::json!({
                "rule": found.rule.id, "severity": found.rule.severity.name(),
                "confidence": found.confidence.name(), "language": place.language.name(),
                "path": place.shown, "line": found.line, "column": found.column,
                "what": found.what, "text": found.text, "test": found.test,
                "rows": found.rule.rows.iter().map(|row| format!("R{row}")).collect::<Vec<_>>(),
                "title": found.rule.title, "why": found.rule.why, "mend": found.rule.mend(place.language),
            })
        })
        .collect();
    let read: BTreeMap<&str, usize> =
        audit.read.iter().map(|(language, count)| (language.name(), *count)).collect();
    let milliseconds = audit.took.as_millis() as u64;
    let skipped: Vec<_> = audit
        .skipped_files
        .iter()
        .map(|(path, reason)| serde_json::json!({ "path": path, "reason": reason }))
        .collect();
    let summary = serde_json::json!({
        "files": audit.read.values().sum::<usize>(), "languages": read, "octets": audit.octets,
        "milliseconds": milliseconds,
        // Kilobytes in a millisecond.
        "megabytes_per_second": audit.octets / 1000 / milliseconds.max(1),
        "skipped": audit.skipped, "skipped_files": skipped, "folders_not_entered": audit.folders,
        "allowed": audit.allowed, "in_tests": audit.in_tests, "known": audit.known, "dropped": audit.dropped,
    });
    serde_json::json!({ "summary": summary, "findings": findings }).to_string() + "\n"
}
