//! What is wrong in a configuration file, where, and what to do: printed with the line and a caret.

use serde::Serialize;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
}

/// One finding in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    /// Path of the file as it was given.
    pub(crate) file: String,
    /// Line, counted from 1; 0 where the finding is about the whole file.
    pub(crate) line: usize,
    /// Column in characters, counted from 1.
    pub(crate) column: usize,
    /// The key it is about, dotted from the root.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: String,
    /// The line itself, for the caret.
    #[serde(skip)]
    source: String,
    /// Characters to underline.
    #[serde(skip)]
    width: usize,
}

impl Diagnostic {
    /// A finding at `span` (byte offsets) of `text`.
    pub(crate) fn at(
        path: &Path,
        text: &str,
        span: Range<usize>,
        key: &str,
        message: String,
        remedy: String,
    ) -> Self {
        let start = floor_char_boundary(text, span.start.min(text.len()));
        let end = floor_char_boundary(text, span.end.clamp(start, text.len()));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let source = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let marked = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
        Self {
            severity: Severity::Error,
            file: path.display().to_string(),
            line: before.matches('\n').count() + 1,
            column,
            key: key.to_owned(),
            message,
            remedy,
            source,
            width: marked.chars().count().max(1),
        }
    }

    /// A finding about the file as a whole.
    pub(crate) fn whole(path: &Path, message: String, remedy: String) -> Self {
        Self {
            severity: Severity::Error,
            file: path.display().to_string(),
            line: 0,
            column: 0,
            key: String::new(),
            message,
            remedy,
            source: String::new(),
            width: 0,
        }
    }

    /// The same finding, as a warning.
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The finding as a person reads it; `colour` adds terminal colours.
    pub(crate) fn render(&self, colour: bool) -> String {
        let (word, paint) = match self.severity {
            Severity::Error => ("error", "\x1b[1;31m"),
            Severity::Warning => ("warning", "\x1b[1;33m"),
        };
        let (paint, bold, plain) = if colour { (paint, "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut out = format!("{paint}{word}{plain}{bold}: {}{plain}\n", self.message);
        if self.line == 0 {
            let _ = writeln!(out, "  --> {}", self.file);
        } else {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            // Tabs before the caret are kept, so that it stands below what it means.
            let lead: String = self
                .source
                .chars()
                .take(self.column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let _ = writeln!(out, "{pad} --> {}:{}:{}", self.file, self.line, self.column);
            let _ = writeln!(out, "{pad} |");
            let _ = writeln!(out, "{number} | {}", self.source);
            let _ = writeln!(out, "{pad} | {lead}{paint}{}{plain}", "^".repeat(self.width));
        }
        let _ = writeln!(out, "  = help: {}", self.remedy);
        out
    }
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The word of `known` that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*above + 1);
            diagonal = *above;
            *above = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_below_the_word() {
        let text = "[uplink]\n\tinterfase = \"wan0\"\n";
        let at = text.find("interfase").unwrap();
        let d = Diagnostic::at(
            Path::new("home.toml"),
            text,
            at..at + 9,
            "uplink.interfase",
            "unknown key `interfase`".into(),
            "did you mean `interface`?".into(),
        );
        assert_eq!(
            d.render(false),
            "error: unknown key `interfase`\n  --> home.toml:2:2\n  |\n2 | \tinterfase = \"wan0\"\n  | \t^^^^^^^^^\n  = help: did you mean `interface`?\n"
        );
    }

    #[test]
    fn nearest_word_is_found_and_far_ones_are_not() {
        assert_eq!(nearest("interfase", ["interface", "prefix"]), Some("interface"));
        assert_eq!(nearest("prefx", ["interface", "prefix"]), Some("prefix"));
        assert_eq!(nearest("banana", ["interface", "prefix"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
