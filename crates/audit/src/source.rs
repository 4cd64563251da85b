//! A source as rules see it: tokens, partners of brackets, and where certain words stand.

use crate::Language;
use crate::lexer::{self, Kind, Lexed};
use crate::words;
use std::collections::HashMap;

/// How far a rule looks from a token to either side. What makes rules linear.
pub(crate) const REACH: usize = 40;

pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a str,
    pub(crate) language: Language,
    pub(crate) lexed: Lexed,
    /// For each token that is a bracket, the token that closes or opens it.
    partners: Vec<u32>,
    /// Lines on which something speaks of IPv6, in code or in a string, in order.
    six: Vec<u32>,
    /// Lines on which a word stands that some rule asks for, in order.
    marked: HashMap<&'a str, Vec<u32>>,
    /// Lines on which a string puts brackets around an address, in order.
    brackets: Vec<u32>,
    /// Lines of test code inside this file, as ranges.
    tests: Vec<(u32, u32)>,
    /// Something here takes entries out of tables again.
    pub(crate) bounded: bool,
    /// Its path says that IPv4 is its trade.
    pub(crate) of_four: bool,
    /// The whole file is test code.
    pub(crate) test_file: bool,
}

const NONE: u32 = u32::MAX;

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str, language: Language) -> Self {
        let lexed = lexer::lex(text, language);
        let mut source = Self {
            text,
            path,
            language,
            partners: Vec::new(),
            six: Vec::new(),
            marked: HashMap::new(),
            brackets: Vec::new(),
            tests: Vec::new(),
            bounded: false,
            of_four: words::is_path_of_four(path),
            test_file: words::is_test_path(path),
            lexed,
        };
        source.pair();
        source.index();
        source.bounded = words::BOUNDS.iter().any(|word| source.has(word));
        source.find_tests();
        source
    }

    fn pair(&mut self) {
        let mut partners = vec![NONE; self.lexed.tokens.len()];
        let mut open: Vec<(u8, u32)> = Vec::new();
        for (at, token) in self.lexed.tokens.iter().enumerate() {
            if token.kind != Kind::Mark {
                continue;
            }
            let close = match self.text.as_bytes()[token.start as usize] {
                b'(' => b')',
                b'[' => b']',
                b'{' => b'}',
                octet @ (b')' | b']' | b'}') => {
                    // One that closes nothing is passed over, and ends nothing.
                    if open.last().is_some_and(|(close, _)| *close == octet)
                        && let Some((_, from)) = open.pop()
                    {
                        partners[at] = from;
                        partners[from as usize] = at as u32;
                    }
                    continue;
                }
                _ => continue,
            };
            open.push((close, at as u32));
        }
        self.partners = partners;
    }

    fn index(&mut self) {
        if self.language == Language::Config {
            // There an address stands without quotes.
            let lines = self.text.split('\n').enumerate();
            self.six
                .extend(lines.filter(|(_, line)| words::text_speaks_of_six(line)).map(|(at, _)| at as u32));
            return;
        }
        for token in &self.lexed.tokens {
            let text = self.text.get(token.start as usize..token.end as usize).unwrap_or("");
            let six = match token.kind {
                Kind::Word => {
                    if words::is_marked(text) {
                        self.marked.entry(text).or_default().push(token.line);
                    }
                    // In shell an address stands without quotes too.
                    words::speaks_of_six(text)
                        // IO::Socket::IP
                        || self.language == Language::Perl && text == "IP"
                        || self.language == Language::Shell && words::text_speaks_of_six(text)
                }
                Kind::Text | Kind::Pattern => words::text_speaks_of_six(text),
                Kind::Number | Kind::Mark => false,
            };
            if matches!(token.kind, Kind::Text) && words::has_bracket(text)
                || matches!(text, "JoinHostPort" | "SplitHostPort" | "to_canonical" | "isIPv6" | "is_ipv6")
            {
                self.brackets.push(token.line);
            }
            if six && self.six.last() != Some(&token.line) {
                self.six.push(token.line);
            }
        }
    }

    /// Rust's `#[cfg(test)]` items and `#[test]` functions.
    fn find_tests(&mut self) {
        if self.language != Language::Rust {
            return;
        }
        for at in 0..self.len() {
            let test = self.is(at, "#") && self.is(at + 1, "[");
            if !test || self.tests.last().is_some_and(|(_, end)| self.line(at) < *end) {
                continue;
            }
            let Some(close) = self.partner(at + 1) else { continue };
            let inside = at + 2..close.min(at + 12);
            let is_test = (self.is(at + 2, "cfg") || close - at <= 6)
                && inside.clone().any(|at| self.is(at, "test"))
                && !inside.clone().any(|at| self.is(at, "not"));
            if !is_test {
                continue;
            }
            let body = (close..(close + REACH).min(self.len()))
                .find(|at| self.is(*at, "{") || self.is(*at, ";"))
                .filter(|at| self.is(*at, "{"));
            if let Some(end) = body.and_then(|open| self.partner(open)) {
                self.tests.push((self.line(at), self.line(end)));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lexed.tokens.len()
    }

    pub(crate) fn kind(&self, at: usize) -> Option<Kind> {
        self.lexed.tokens.get(at).map(|token| token.kind)
    }

    /// The text of a token, "" beyond the end.
    pub(crate) fn get(&self, at: usize) -> &'a str {
        self.lexed
            .tokens
            .get(at)
            .and_then(|token| self.text.get(token.start as usize..token.end as usize))
            .unwrap_or("")
    }

    /// Whether a token is this word or mark.
    pub(crate) fn is(&self, at: usize, what: &str) -> bool {
        !matches!(self.kind(at), Some(Kind::Text | Kind::Pattern)) && self.get(at) == what
    }

    /// The token before, where there is one.
    pub(crate) fn is_before(&self, at: usize, what: &str) -> bool {
        at.checked_sub(1).is_some_and(|at| self.is(at, what))
    }

    /// The string at a token.
    pub(crate) fn string(&self, at: usize) -> Option<&'a str> {
        (self.kind(at) == Some(Kind::Text)).then(|| self.get(at))
    }

    pub(crate) fn line(&self, at: usize) -> u32 {
        self.lexed.tokens.get(at).or(self.lexed.tokens.last()).map_or(0, |token| token.line)
    }

    /// The bracket that closes or opens the one at `at`.
    pub(crate) fn partner(&self, at: usize) -> Option<usize> {
        self.partners.get(at).filter(|partner| **partner != NONE).map(|partner| *partner as usize)
    }

    /// The tokens between a call's brackets, where `at` is its name; at most [`REACH`] times four of them.
    pub(crate) fn arguments(&self, at: usize) -> Option<std::ops::Range<usize>> {
        if !self.is(at + 1, "(") {
            return None;
        }
        let close = self.partner(at + 1).unwrap_or(at + 2 + REACH);
        Some(at + 2..close.min(at + 2 + 4 * REACH).min(self.len()).max(at + 2))
    }

    /// The tokens of the same statement or so: within two lines and [`REACH`] tokens.
    pub(crate) fn around(&self, at: usize) -> std::ops::Range<usize> {
        self.within(at, 1, 1)
    }

    /// The tokens within some lines before and after, and within [`REACH`] tokens.
    pub(crate) fn within(&self, at: usize, before: u32, after: u32) -> std::ops::Range<usize> {
        let line = self.line(at);
        let mut from = at;
        while from > 0 && at - from < REACH && self.line(from - 1) + before >= line {
            from -= 1;
        }
        let mut to = at + 1;
        while to < self.len() && to - at < REACH && self.line(to) <= line + after {
            to += 1;
        }
        from..to
    }

    /// The tokens of the same line, within [`REACH`].
    pub(crate) fn on_line(&self, at: usize) -> std::ops::Range<usize> {
        self.within(at, 0, 0)
    }

    /// Whether IPv6 is spoken of within so many lines.
    pub(crate) fn six_near(&self, line: u32, radius: u32) -> bool {
        near(&self.six, line, radius, radius)
    }

    /// Whether brackets are put around addresses within some lines.
    pub(crate) fn bracketed_near(&self, line: u32) -> bool {
        near(&self.brackets, line, 8, 10)
    }

    /// The same where a text is taken apart: who looks for a bracket does so first, and may have much to do then.
    pub(crate) fn bracket_asked_for(&self, line: u32) -> bool {
        near(&self.brackets, line, 25, 10)
    }

    /// Whether IPv6 is spoken of anywhere.
    pub(crate) fn six_at_all(&self) -> bool {
        !self.six.is_empty()
    }

    /// Whether a marked word stands in the file.
    pub(crate) fn has(&self, word: &str) -> bool {
        debug_assert!(words::is_marked(word), "{word} is not indexed");
        self.marked.contains_key(word)
    }

    /// Whether one of these marked words stands within `before` lines before and `after` lines after.
    pub(crate) fn near(&self, line: u32, before: u32, after: u32, words: &[&str]) -> bool {
        words.iter().any(|word| {
            debug_assert!(words::is_marked(word), "{word} is not indexed");
            self.marked.get(word).is_some_and(|lines| near(lines, line, before, after))
        })
    }

    /// The text of a line, without white space around it.
    pub(crate) fn line_text(&self, line: u32) -> &'a str {
        let lines = &self.lexed.lines;
        let start = lines.get(line as usize).map_or(self.text.len(), |start| *start as usize);
        let end = lines.get(line as usize + 1).map_or(self.text.len(), |end| *end as usize);
        self.text.get(start..end).unwrap_or("").trim()
    }

    /// Whether a line is test code.
    pub(crate) fn is_test(&self, line: u32) -> bool {
        self.test_file || {
            let after = self.tests.partition_point(|(start, _)| *start <= line);
            after > 0 && line <= self.tests[after - 1].1
        }
    }
}

fn near(lines: &[u32], line: u32, before: u32, after: u32) -> bool {
    let first = lines.partition_point(|at| at.saturating_add(before) < line);
    lines.get(first).is_some_and(|at| *at <= line.saturating_add(after))
}
