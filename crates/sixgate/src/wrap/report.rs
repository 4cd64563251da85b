//! The report card, for people and for machines.

use super::findings::{Finding, RULES, Severity};
use super::judge::{Card, Cell, Grade};
use super::run::Run;
use super::world::World;
use crate::sarif;
use serde_json::{Value, json};
use sixgate_measure::markup::escaped;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// Findings that are shown unless all are asked for.
const FIRST: usize = 6;

/// Letters of a command line that are shown above a table; findings have all of it.
const TITLE: usize = 200;

/// What was tried.
#[derive(Debug)]
pub(crate) struct About {
    /// The program and its arguments, as a shell takes them.
    program: String,
    /// The program alone.
    file: String,
    /// Options that say how it was tried, with a space behind each.
    options: String,
    took: Duration,
}

impl About {
    pub(crate) fn new(program: &[OsString], options: String, took: Duration) -> Self {
        let words: Vec<String> = program.iter().map(|word| quoted(word)).collect();
        let file = program.first().map_or_else(String::new, |file| file.to_string_lossy().into_owned());
        Self { program: words.join(" "), file, options, took }
    }

    /// What fits above a table.
    fn title(&self) -> String {
        match self.program.char_indices().nth(TITLE) {
            Some((end, _)) => format!("{} ...", self.program.get(..end).unwrap_or_default()),
            None => self.program.clone(),
        }
    }
}

/// A word as a shell takes it, without control characters.
fn quoted(word: &OsStr) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(octet);
    let octets = word.as_bytes();
    match word.to_str() {
        Some(text) if !octets.is_empty() && octets.iter().all(plain) => text.to_owned(),
        Some(text) if printable(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let letters = octets.iter().map(|octet| match octet {
                b'\'' | b'\\' => format!("\\{}", char::from(*octet)),
                b'\n' => r"\n".to_owned(),
                b' '..=b'~' => char::from(*octet).to_string(),
                other => format!(r"\x{other:02x}"),
            });
            format!("$'{}'", letters.collect::<String>())
        }
    }
}

/// What a program said, or is called, without what moves a terminal's cursor or turns the text around.
fn printable(text: &str) -> String {
    let moves = |letter: &char| {
        letter.is_control()
            || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let shown = |letter| match letter {
        '\t' => ' ',
        letter if moves(&letter) => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(shown).collect()
}

fn painted(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn word(cell: &Cell) -> (&'static str, &'static str) {
    match cell {
        Cell::Works => ("ok", "32"),
        Cell::Partly(_) => ("PARTLY", "33"),
        Cell::Fails(_) => ("FAIL", "31"),
        Cell::NotApplicable => ("-", "2"),
        Cell::NotTested => ("not tested", "2"),
    }
}

/// For a terminal: the matrix, then what was found.
pub(crate) fn table(about: &About, card: &Card, all: bool, colour: bool) -> String {
    let paint = if card.grade == Grade::Ipv6OnlyReady { "1;32" } else { "1;31" };
    let mut text = format!("{}: {}\n", about.title(), painted(colour, paint, card.grade.text()));
    let _ = writeln!(text, "  {}\n", printable(&card.because));
    let first = card.surfaces.iter().map(|surface| surface.name.len()).max().unwrap_or(0);
    let widths: Vec<usize> = card.worlds.iter().map(|world| world.len().max(10)).collect();
    let _ = write!(text, "{:first$}", "");
    for (world, width) in card.worlds.iter().zip(&widths) {
        let _ = write!(text, "  {world:width$}");
    }
    text.push('\n');
    for surface in &card.surfaces {
        let _ = write!(text, "{:first$}", surface.name);
        for (cell, width) in surface.cells.iter().zip(&widths) {
            let (word, code) = word(cell);
            // The width counts letters, not what colours them.
            let _ = write!(text, "  {}{:2$}", painted(colour, code, word), "", width - word.len());
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    if card.surfaces.iter().any(|surface| surface.cells.iter().any(Cell::is_bad)) {
        text.push('\n');
    }
    for surface in &card.surfaces {
        for (cell, world) in surface.cells.iter().zip(&card.worlds) {
            if let Cell::Fails(why) | Cell::Partly(why) = cell {
                let _ = writeln!(text, "{} in {world}: {}", surface.name, printable(why));
            }
        }
    }
    let shown = if all { card.findings.len() } else { FIRST };
    for finding in card.findings.iter().take(shown) {
        text.push('\n');
        text += &paragraph(about, finding, colour);
    }
    if card.findings.len() > shown {
        let _ = writeln!(text, "\n{} more; --all shows them", card.findings.len() - shown);
    }
    text
}

fn severity(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Note => ("note", "36"),
        Severity::Warning => ("warning", "33"),
        Severity::Error => ("error", "31"),
    }
}

fn paragraph(about: &About, finding: &Finding, colour: bool) -> String {
    let (name, code) = severity(finding.severity);
    let mut text = format!("{}[{}] {}\n", painted(colour, code, name), finding.id, printable(&finding.what));
    let _ = writeln!(text, "  seen:   in {}: {}", finding.world, printable(&finding.evidence));
    if let Some(place) = &finding.place {
        let _ = writeln!(text, "  by:     {}", printable(place));
    }
    let _ = writeln!(text, "  why:    {}", finding.why);
    let _ = writeln!(text, "  mend:   {}", finding.remedy);
    let _ = writeln!(text, "  again:  {}", again(about, &finding.world));
    text
}

/// The command that shows it again.
fn again(about: &About, world: &str) -> String {
    format!("sixgate wrap --worlds {world} --all {}-- {}", about.options, about.program)
}

/// All there is, as JSON.
pub(crate) fn json(about: &About, card: &Card, runs: &[Run]) -> String {
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| {
            let calls: Vec<Value> = run
                .calls
                .iter()
                .map(|call| {
                    json!({
                        "at-ms": call.at.as_millis() as u64,
                        "process": call.process,
                        "call": call.action.to_string(),
                        "outcome": call.outcome.to_string(),
                    })
                })
                .collect();
            let questions: Vec<Value> = run
                .questions
                .iter()
                .map(|question| json!({ "at-ms": question.at.as_millis() as u64, "name": question.name, "type": question.kind }))
                .collect();
            json!({
                "world": run.world, "end": run.end, "listeners": run.listeners, "visits": run.visits,
                "questions": questions, "calls": calls, "calls-not-kept": run.dropped, "said": run.said,
                "took-ms": run.took.as_millis() as u64, "built-ms": run.built.as_millis() as u64,
            })
        })
        .collect();
    let value = json!({
        "program": about.program, "took-ms": about.took.as_millis() as u64, "card": card, "runs": runs,
    });
    format!("{value:#}\n")
}

/// SARIF 2.1.0, as code hosting services show it.
pub(crate) fn sarif(about: &About, card: &Card) -> String {
    let level = |of: Severity| severity(of).0;
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id, "shortDescription": { "text": rule.what },
                "fullDescription": { "text": rule.why }, "help": { "text": rule.remedy },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = card
        .findings
        .iter()
        .map(|finding| {
            // The last one: `libstdc++.so` has some of its own.
            let place = finding.place.as_deref().and_then(|place| place.rsplit_once('+'));
            let object = place.map_or(about.file.as_str(), |(object, _)| object);
            // Libraries were compiled from sources that are not here.
            let physical = match finding.line.as_ref().filter(|line| Path::new(&line.file).is_file()) {
                Some(line) => json!({
                    "artifactLocation": sarif::location(&line.file), "region": { "startLine": line.number },
                }),
                None => json!({ "artifactLocation": sarif::location(object) }),
            };
            json!({
                "ruleId": finding.id, "level": level(finding.severity),
                "message": { "text": format!("{} (in {}: {})", finding.what, finding.world, finding.evidence) },
                "locations": [{ "physicalLocation": physical }],
            })
        })
        .collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "sixgate wrap", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    });
    format!("{value:#}\n")
}

/// JUnit's XML: a test case for each surface in each world.
pub(crate) fn junit(about: &About, card: &Card) -> String {
    let cells = || card.surfaces.iter().flat_map(|surface| surface.cells.iter());
    let (tests, failures) = (cells().count(), cells().filter(|cell| cell.is_bad()).count());
    let skipped = cells().filter(|cell| matches!(cell, Cell::NotTested | Cell::NotApplicable)).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" \
         skipped=\"{skipped}\" time=\"{:.3}\">\n",
        escaped(&about.program),
        about.took.as_secs_f64()
    );
    for surface in &card.surfaces {
        for (cell, world) in surface.cells.iter().zip(&card.worlds) {
            let _ = write!(
                text,
                "  <testcase classname=\"{}\" name=\"{}\"",
                escaped(world),
                escaped(&surface.name)
            );
            let _ = match cell {
                Cell::Works => writeln!(text, "/>"),
                Cell::Fails(why) | Cell::Partly(why) => {
                    writeln!(text, ">\n    <failure message=\"{}\"/>\n  </testcase>", escaped(why))
                }
                Cell::NotApplicable | Cell::NotTested => writeln!(text, ">\n    <skipped/>\n  </testcase>"),
            };
        }
    }
    text + "</testsuite>\n"
}

/// One page that holds all it needs, to send to a vendor.
pub(crate) fn html(about: &About, card: &Card) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{0}: {1}</title>\n<style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;display:block;overflow-x:auto}}td,th{{padding:.3rem .7rem;text-align:left;border:1px solid #8886}}\
         .ok{{background:#2a82}}.bad{{background:#d222;font-weight:bold}}.un{{color:#777}}\
         code{{overflow-wrap:anywhere}}:root{{color-scheme:light dark}}</style>\n\
         <h1><code>{0}</code>: {1}</h1>\n<p>{2}</p>\n<table><tr><th scope=\"col\">surface",
        escaped(&about.program),
        escaped(card.grade.text()),
        escaped(&card.because),
    );
    for world in &card.worlds {
        let _ = write!(text, "<th scope=\"col\">{}", escaped(world));
    }
    for surface in &card.surfaces {
        let _ = write!(text, "\n<tr><th scope=\"row\">{}", escaped(&surface.name));
        for cell in &surface.cells {
            let (word, _) = word(cell);
            let _ = match cell {
                Cell::Works => write!(text, "<td class=\"ok\">{word}"),
                Cell::Fails(why) | Cell::Partly(why) => {
                    write!(text, "<td class=\"bad\">{word}<br><small>{}</small>", escaped(why))
                }
                Cell::NotApplicable | Cell::NotTested => write!(text, "<td class=\"un\">{word}"),
            };
        }
    }
    text += "\n</table>\n";
    for finding in &card.findings {
        let (name, _) = severity(finding.severity);
        let _ = write!(
            text,
            "<h2>{name}: {}</h2>\n<p>Seen in {}: <code>{}</code>{}</p>\n<p>{}.</p>\n<p>To mend it: {}.</p>\n\
             <p>To see it again: <code>{}</code></p>\n",
            escaped(&finding.what),
            escaped(&finding.world),
            escaped(&finding.evidence),
            finding
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!(", by <code>{}</code>", escaped(place))),
            escaped(finding.why),
            escaped(finding.remedy),
            escaped(&again(about, &finding.world)),
        );
    }
    text + "</html>\n"
}

/// The worlds that there are.
pub(crate) fn worlds(worlds: &[World], json: bool) -> String {
    if json {
        return format!("{:#}\n", json!(worlds));
    }
    worlds.iter().fold(String::new(), |mut text, world| {
        let _ = writeln!(text, "{:18} {}", world.name, world.about);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted_and_move_no_cursor() {
        let cases: [(&[u8], &str); 6] = [
            (b"./a-b.c", "./a-b.c"),
            (b"", "''"),
            (b"x y;$(z)", "'x y;$(z)'"),
            (b"it's", r"'it'\''s'"),
            (b"a\n\x1b'\\", r"$'a\n\x1b\'\\'"),
            (b"\xff", r"$'\xff'"),
        ];
        for (word, wanted) in cases {
            assert_eq!(quoted(OsStr::from_bytes(word)), wanted);
        }
        assert_eq!(printable("a\x1b[31m\u{9b}1m\u{202e}b"), "a\u{fffd}[31m\u{fffd}1m\u{fffd}b");
        let long = About::new(&["x".repeat(1000).into()], String::new(), Duration::ZERO);
        assert_eq!(long.title().len(), TITLE + 4);
    }
}
