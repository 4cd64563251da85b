//! A measurement as it is exported: when, by which method, to whom, over which family, what came of it. One form for all of them, as a
//! line of JSON and as rows of CSV, so that what was measured by different means goes into one table and one page.

use crate::when;
use clap::Args;
use serde::{Deserialize, Serialize};
use sixgate_linux::clock::Clock;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What came of a measurement that worked.
pub(crate) const OK: &str = "ok";
/// Octets of a file of measurements; then it becomes FILE.1, and the one before is gone.
const MOST_OCTETS: u64 = 8 << 20;
/// Octets of a line that is read.
const LONGEST_LINE: u64 = 64 * 1024;
/// Entries that are read of all files together: the newest of each stay.
const MOST_ENTRIES: usize = 100_000;

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When it was over, in UTC (RFC 3339).
    pub(crate) time: String,
    /// By which means, in words.
    pub(crate) method: String,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// `IPv6` or `IPv4`; none where it is of neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<String>,
    /// [`OK`], or why not.
    pub(crate) outcome: String,
    /// What was found, each with its unit in its name.
    #[serde(default)]
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Entry {
    /// One that is over now.
    pub(crate) fn now(method: &str, host: &impl ToString, family: Option<&str>) -> Self {
        Self {
            time: when::rfc3339(Clock::new().wall()),
            method: method.to_owned(),
            host: Some(host.to_string()),
            family: family.map(str::to_owned),
            outcome: OK.to_owned(),
            figures: BTreeMap::new(),
        }
    }

    /// With a figure, where there is one.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Option<f64>>) -> Self {
        if let Some(value) = value.into().filter(|value| value.is_finite()) {
            self.figures.insert(name.to_owned(), value);
        }
        self
    }

    /// One that failed.
    pub(crate) fn failed(self, why: impl Into<String>) -> Self {
        Self { outcome: why.into(), ..self }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.outcome == OK
    }
}

/// Where measurements go beside their table.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Export {
    /// Print CSV: a row for each figure, with time, method, host, family and outcome.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Append to this file, a JSON object a line; `sixgate measure report` makes a page of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

impl Export {
    /// Appends, where that is wanted; and what to print in place of `shown`.
    ///
    /// # Errors
    /// Has said why the file cannot be written.
    pub(super) fn export(&self, entries: &[Entry], shown: String) -> Result<String, crate::Outcome> {
        if let Some(path) = &self.record {
            append(path, entries)
                .map_err(|error| crate::fail(&format!("cannot write {}: {error}", path.display())))?;
        }
        Ok(if self.csv { csv(entries) } else { shown })
    }
}

/// Rows of RFC 4180, with a header. A measurement without figures has one row.
pub(super) fn csv(entries: &[Entry]) -> String {
    let mut out = String::from("time,method,host,family,outcome,figure,value\r\n");
    for entry in entries {
        let host = entry.host.as_deref().unwrap_or_default();
        let family = entry.family.as_deref().unwrap_or_default();
        let mut row = |figure: &str, value: String| {
            let cells = [&entry.time, &entry.method, host, family, &entry.outcome, figure, &value].map(cell);
            out += &cells.join(",");
            out += "\r\n";
        };
        if entry.figures.is_empty() {
            row("", String::new());
        }
        for (figure, value) in &entry.figures {
            row(figure, value.to_string());
        }
    }
    out
}

/// Quoted where it must be. Words of others that a spreadsheet would compute are made text.
fn cell(text: &str) -> String {
    let computed =
        text.starts_with(['=', '+', '@', '\t']) || (text.starts_with('-') && text.parse::<f64>().is_err());
    let text = if computed { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Appends lines. A file that has become too long is put aside first.
///
/// # Errors
/// What the file system says.
pub(crate) fn append(path: &Path, entries: &[Entry]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.len() > MOST_OCTETS) {
        fs::rename(path, aside(path))?;
    }
    let mut lines = String::new();
    for entry in entries {
        lines += &serde_json::to_string(entry).map_err(io::Error::other)?;
        lines.push('\n');
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(lines.as_bytes())
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Reads files, each with what was put aside before it, in the order of time; and how many lines are none of ours.
///
/// # Errors
/// With the file that cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<(Vec<Entry>, usize), String> {
    let (mut entries, mut strange) = (Vec::new(), 0);
    for path in paths {
        let before = aside(path);
        let failed = |path: &Path, error: io::Error| format!("cannot read {}: {error}", path.display());
        if before.exists() {
            read_one(&before, &mut entries, &mut strange).map_err(|error| failed(&before, error))?;
        }
        read_one(path, &mut entries, &mut strange).map_err(|error| failed(path, error))?;
    }
    // Times of one form sort as texts do.
    entries.sort_by(|a, b| a.time.cmp(&b.time));
    entries.drain(..entries.len().saturating_sub(MOST_ENTRIES));
    Ok((entries, strange))
}

fn read_one(path: &Path, entries: &mut Vec<Entry>, strange: &mut usize) -> io::Result<()> {
    // A little more than it grows to.
    let mut reader = BufReader::new(File::open(path)?.take(MOST_OCTETS * 2));
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) => entries.push(entry),
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => *strange += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(outcome: &str) -> Entry {
        Entry {
            time: "2026-11-26T01:02:03Z".to_owned(),
            method: "TCP connect".to_owned(),
            host: Some("far, away".to_owned()),
            family: Some("IPv6".to_owned()),
            outcome: outcome.to_owned(),
            figures: BTreeMap::new(),
        }
    }

    #[test]
    fn rows_say_when_how_and_over_which_family() {
        let rows =
            csv(&[entry(OK).with("connect_ms", 12.5).with("nothing", None), entry("=HYPERLINK(\"x\")")]);
        let rows: Vec<&str> = rows.lines().collect();
        assert_eq!(rows[1], "2026-11-26T01:02:03Z,TCP connect,\"far, away\",IPv6,ok,connect_ms,12.5");
        assert_eq!(
            rows[2],
            "2026-11-26T01:02:03Z,TCP connect,\"far, away\",IPv6,\"'=HYPERLINK(\"\"x\"\")\",,"
        );
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn what_is_appended_is_read_and_what_is_strange_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("measured.jsonl");
        let later = Entry { time: "2026-11-27T00:00:00Z".to_owned(), ..entry("refused") };
        append(&path, std::slice::from_ref(&later)).unwrap();
        append(&path, &[entry(OK).with("connect_ms", 1.0)]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n\nno JSON\n").unwrap();
        let (entries, strange) = read(std::slice::from_ref(&path)).unwrap();
        assert_eq!((entries, strange), (vec![entry(OK).with("connect_ms", 1.0), later], 2));
        assert!(read(&[folder.path().join("none")]).unwrap_err().contains("none"));
        // One that is too long is put aside, and read all the same.
        File::options().append(true).open(&path).unwrap().set_len(MOST_OCTETS + 1).unwrap();
        append(&path, &[entry(OK)]).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1000 && aside(&path).exists());
        assert_eq!(read(&[path]).unwrap().0.len(), 3);
    }
}
