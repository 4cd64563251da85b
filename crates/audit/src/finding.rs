//! What was found, and what was not read.

use crate::rule::Rule;
use crate::source::Source;
use crate::{Language, MAX_FINDINGS, RULES};

/// What a finding costs whoever runs the program without IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look.
    Note,
    /// Wrong for some peers or in some networks.
    Warning,
    /// Does not work, or is not safe, over IPv6.
    Error,
}

impl Severity {
    /// Its name, as SARIF has it too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// How often a finding of this kind is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A name suggests it.
    Low,
    /// The context fits.
    Medium,
    /// There is hardly another reading.
    High,
}

impl Confidence {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// How sure it is.
    pub confidence: Confidence,
    /// Its line, from 1.
    pub line: u32,
    /// Its column in characters, from 1.
    pub column: u32,
    /// What stands there, in a few words.
    pub what: String,
    /// The line, without white space around it, at most [`MAX_TEXT`] octets of it.
    pub text: String,
    /// It is in test code.
    pub test: bool,
}

/// Most octets of [`Finding::text`].
pub const MAX_TEXT: usize = 160;
/// Most octets of [`Finding::what`].
const MAX_WHAT: usize = 60;

impl Finding {
    /// Severity and confidence in one number: what is shown first has the highest.
    pub fn rank(&self) -> u32 {
        let severity = [1, 3, 9][self.rule.severity as usize];
        severity * [2, 5, 9][self.confidence as usize]
    }
}

/// What became of a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Its language.
    pub language: Language,
    /// In the order of lines.
    pub findings: Vec<Finding>,
    /// Findings that a comment with a reason allowed.
    pub allowed: u32,
    /// Findings beyond [`MAX_FINDINGS`].
    pub dropped: u32,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Skipped {
    /// In no language that is known here.
    Language,
    /// Larger than [`crate::MAX_FILE`].
    Large,
    /// It holds a zero octet.
    Binary,
    /// Its lines are so long that no person wrote them.
    Minified,
}

impl Skipped {
    /// The reason, in a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "other languages",
            Self::Large => "larger than 2 MiB",
            Self::Binary => "binary",
            Self::Minified => "minified",
        }
    }
}

/// Findings of one file, as rules report them.
pub(crate) struct Collector<'s, 'a> {
    source: &'s Source<'a>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) dropped: u32,
}

impl<'s, 'a> Collector<'s, 'a> {
    pub(crate) fn new(source: &'s Source<'a>) -> Self {
        Self { source, findings: Vec::new(), dropped: 0 }
    }

    /// Reports a token.
    pub(crate) fn token(&mut self, rule: &'static Rule, at: usize, confidence: Confidence, what: &str) {
        let Some(token) = self.source.lexed.tokens.get(at) else { return };
        if self.is_reported(rule, token.line) {
            return;
        }
        let line = self.source.lexed.lines.get(token.line as usize).copied().unwrap_or(0);
        let before = self.source.text.get(line as usize..token.start as usize).unwrap_or("");
        self.place(rule, token.line, before.chars().count() as u32, confidence, what);
    }

    /// One line, one finding of a rule; and no more than there is room for.
    fn is_reported(&mut self, rule: &'static Rule, line: u32) -> bool {
        let mut last = self.findings.iter().rev().take(RULES.len());
        if last.any(|found| found.rule.id == rule.id && found.line == line + 1) {
            return true;
        }
        let full = self.findings.len() >= MAX_FINDINGS;
        self.dropped = self.dropped.saturating_add(u32::from(full));
        full
    }

    /// Reports a place; line and column from 0.
    pub(crate) fn place(
        &mut self,
        rule: &'static Rule,
        line: u32,
        column: u32,
        confidence: Confidence,
        what: &str,
    ) {
        if self.is_reported(rule, line) {
            return;
        }
        self.findings.push(Finding {
            rule,
            confidence,
            line: line + 1,
            column: column + 1,
            what: printable(what, MAX_WHAT),
            text: printable(self.source.line_text(line), MAX_TEXT),
            test: self.source.is_test(line),
        });
    }
}

/// A piece of a source that may be printed on a terminal: one line, no control characters, of bounded length.
fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        // A letter of four octets, and the mark that there was more.
        if out.len() + 7 > most {
            out.push_str("...");
            break;
        }
        out.push(if letter.is_control() || ('\u{202a}'..='\u{2069}').contains(&letter) {
            ' '
        } else {
            letter
        });
    }
    out
}
