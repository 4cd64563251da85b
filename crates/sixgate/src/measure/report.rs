//! `sixgate measure report`: what was recorded, as one page for people who are no engineers.

use super::cli::Report;
use super::entry::{Entry, csv, read};
use crate::{Outcome, print, when};
use sixgate_measure::markup::escaped;
use sixgate_measure::picture::{Line, Panel, svg};
use sixgate_measure::stats::{Summary, summary};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1b1f23;--bg:#fff;--soft:#57606a;--line:#d0d7de}\
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--soft:#9198a1;--line:#30363d}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);color:var(--fg);\
font:1rem/1.5 system-ui,sans-serif}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}.soft{color:var(--soft)}\
.big{font-size:1.2rem;font-weight:600}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .5rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}\
th{color:var(--soft);font-weight:600}figure{margin:1rem 0}svg{width:100%;height:auto;background:#fff}";

/// Figures of one measurement that get a picture.
const PICTURES: usize = 6;
/// Measurements that the page shows: the page is one that can be read.
const MOST: usize = 40;

pub(super) fn command(arguments: &Report) -> Outcome {
    let files = if arguments.files.is_empty() {
        match crate::places(arguments.config.as_deref()) {
            Ok(places) => vec![places.state.join(super::plugins::HISTORY)],
            Err(outcome) => return outcome,
        }
    } else {
        arguments.files.clone()
    };
    let (entries, strange) = match read(&files) {
        Ok(read) => read,
        Err(why) => {
            crate::say(&format!(
                "sixgate: {why}\n  = help: measurements are recorded by --record FILE, and by [[measure.plugin]] of `sixgate up`\n"
            ));
            return Outcome::Failed;
        }
    };
    if strange > 0 {
        crate::say(&format!("sixgate: {strange} lines are no measurements, and left out\n"));
    }
    let text = if arguments.csv {
        csv(&entries)
    } else if arguments.json {
        format!("{:#}\n", serde_json::to_value(&entries).unwrap_or_default())
    } else {
        page(&entries)
    };
    match &arguments.output {
        Some(path) => match super::shown::write(path, &text) {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        },
        None => print(&text),
    }
}

/// What belongs together: the same method to the same host.
type Group<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Entry>>;

fn page(entries: &[Entry]) -> String {
    let mut groups: Group<'_> = BTreeMap::new();
    for entry in entries {
        groups.entry((&entry.method, entry.host.as_deref().unwrap_or_default())).or_default().push(entry);
    }
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>What was measured</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>What was measured</h1>\n"
    );
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => {
            let _ = writeln!(
                out,
                "<p class=\"soft\">{} measurements from {} to {} (UTC).</p>",
                entries.len(),
                escaped(&first.time),
                escaped(&last.time)
            );
        }
        _ => out += "<p>Nothing yet.</p>\n",
    }
    for ((method, host), entries) in groups.iter().take(MOST) {
        section(&mut out, method, host, entries);
    }
    if groups.len() > MOST {
        let _ = writeln!(
            out,
            "<p class=\"soft\">{} more are left out of this page; --csv has all.</p>",
            groups.len() - MOST
        );
    }
    out += "</body>\n</html>\n";
    out
}

fn section(out: &mut String, method: &str, host: &str, entries: &[&Entry]) {
    let title = if host.is_empty() { method.to_owned() } else { format!("{host}: {method}") };
    let _ = writeln!(out, "<h2>{}</h2>", escaped(&title));
    for sentence in sentences(entries) {
        let _ = writeln!(out, "<p class=\"big\">{}</p>", escaped(&sentence));
    }
    *out += "<table>\n<thead><tr><th>Figure</th><th>Family</th><th>Median</th><th>95 %</th><th>Least</th><th>Most</th><th>Times</th></tr></thead>\n<tbody>\n";
    for ((figure, family), values) in figures(entries) {
        let Some(Summary { min, median, p95, max, .. }) =
            summary(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())
        else {
            continue;
        };
        let cells = [median, p95, min, max].map(|value| format!("<td>{}</td>", short(value))).concat();
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td>{cells}<td>{}</td></tr>",
            escaped(figure),
            escaped(family),
            values.len()
        );
    }
    *out += "</tbody>\n</table>\n";
    pictures(out, entries);
    let failures: Vec<&&Entry> = entries.iter().filter(|entry| !entry.is_ok()).collect();
    if let Some(last) = failures.last() {
        let _ = writeln!(
            out,
            "<p class=\"soft\">{} of {} failed; the last at {}: {}</p>",
            failures.len(),
            entries.len(),
            escaped(&last.time),
            escaped(&last.outcome)
        );
    }
}

/// Times, in seconds since the epoch, and values, by figure and family.
type Figures<'a> = BTreeMap<(&'a str, &'a str), Vec<(f64, f64)>>;

fn figures<'a>(entries: &[&'a Entry]) -> Figures<'a> {
    let mut figures = Figures::new();
    for entry in entries {
        let family = entry.family.as_deref().unwrap_or_default();
        let at = when::parse(&entry.time, Duration::ZERO).map_or(0.0, |(at, _)| at.as_secs_f64());
        for (figure, value) in &entry.figures {
            figures.entry((figure.as_str(), family)).or_default().push((at, *value));
        }
    }
    figures
}

/// Both families beside each other, in a sentence for each figure that both have; and how often each failed.
fn sentences(entries: &[&Entry]) -> Vec<String> {
    let figures = figures(entries);
    let median = |figure: &str, family: &str| {
        let values = figures.get(&(figure, family))?;
        summary(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>()).map(|found| found.median)
    };
    let mut sentences = Vec::new();
    for (figure, family) in figures.keys() {
        if *family == "IPv6"
            && let (Some(six), Some(four)) = (median(figure, "IPv6"), median(figure, "IPv4"))
        {
            sentences.push(format!(
                "{figure}: {} over IPv6, {} over IPv4 (medians).",
                short(six),
                short(four)
            ));
        }
    }
    for family in ["IPv6", "IPv4"] {
        let all = entries.iter().filter(|entry| entry.family.as_deref() == Some(family));
        let failed = all.clone().filter(|entry| !entry.is_ok()).count();
        if failed > 0 {
            sentences.push(format!("{family} failed {failed} of {} times.", all.count()));
        }
    }
    sentences
}

/// How figures went over time, a line for each family.
fn pictures(out: &mut String, entries: &[&Entry]) {
    let figures = figures(entries);
    let all = figures.values().flatten().map(|(at, _)| *at);
    let (from, until) = all.fold((f64::INFINITY, 0.0_f64), |(from, until), at| (from.min(at), until.max(at)));
    let span = until - from;
    if !span.is_finite() || span <= 0.0 {
        return;
    }
    let mut panels: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    for ((figure, family), values) in figures {
        let points = values.into_iter().map(|(at, value)| (at - from, value)).collect();
        panels.entry(figure).or_default().push(Line { name: family.to_owned(), points });
    }
    for (figure, lines) in panels.into_iter().take(PICTURES) {
        let panel = Panel { title: figure.to_owned(), lines };
        let start = when::rfc3339(Duration::from_secs_f64(from));
        let picture = svg::draw(figure, &[panel], span, None, &[format!("seconds since {start}")]);
        let _ = writeln!(out, "<figure>{picture}</figure>");
    }
}

/// Three digits that say something.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.01.. => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_in_sentences_what_was_found_and_nothing_of_others_is_markup() {
        let entry = |minute: u32, family: &str, value: Option<f64>| {
            let entry = Entry {
                time: format!("2026-11-26T01:{minute:02}:00Z"),
                method: "TCP connect".to_owned(),
                host: Some("<script>.example".to_owned()),
                family: Some(family.to_owned()),
                outcome: super::super::entry::OK.to_owned(),
                ..Entry::default()
            };
            match value {
                Some(value) => entry.with("connect_ms", value),
                None => entry.failed("no answer <b>"),
            }
        };
        let entries = [
            entry(0, "IPv6", Some(10.0)),
            entry(0, "IPv4", Some(30.0)),
            entry(1, "IPv6", Some(12.0)),
            entry(2, "IPv6", None),
        ];
        let page = page(&entries);
        assert!(page.contains("connect_ms: 10.0 over IPv6, 30.0 over IPv4 (medians)."), "{page}");
        assert!(page.contains("IPv6 failed 1 of 3 times.") && page.contains("<svg"), "{page}");
        assert!(
            page.contains("&lt;script&gt;.example") && !page.contains("<script") && !page.contains("<b>")
        );
        assert!(super::page(&[]).contains("Nothing yet"));
    }

    #[test]
    fn figures_are_short() {
        let shown = [0.0, 0.001, 0.25, 12.345, 1234.5].map(short);
        assert_eq!(shown, ["0", "1.00e-3", "0.25", "12.3", "1234"]);
    }
}
