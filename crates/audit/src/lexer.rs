//! One lexer for all languages: words, numbers, strings, marks; comments apart. It need not be exact about
//! what a compiler would refuse; it is total, and each octet is looked at a bounded number of times.

mod perl;

use crate::Language;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword, or in shell any unquoted word.
    Word,
    Number,
    /// A string or a character; the range is what stands between the quotes.
    Text,
    /// A regular expression literal of JavaScript or Perl, between its slashes.
    Pattern,
    /// One octet of punctuation; in shell, also the end of a line.
    Mark,
}

/// A token: octets `start..end` of the source, on the line `line` (from 0).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) line: u32,
}

/// A comment, with its marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comment {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) line: u32,
    /// Nothing but white space stands before it on its line.
    pub(crate) alone: bool,
}

/// A source in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Comment>,
    /// Where each line starts.
    pub(crate) lines: Vec<u32>,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    language: Language,
    out: Lexed,
    /// Delimiters of here-documents that begin after this line.
    heredocs: Vec<(usize, usize)>,
}

/// Cuts a source into tokens. `text` is at most `u32::MAX` octets.
pub(crate) fn lex(text: &str, language: Language) -> Lexed {
    let mut lexer =
        Lexer { text: text.as_bytes(), at: 0, language, out: Lexed::default(), heredocs: Vec::new() };
    lexer.out.lines.push(0);
    while lexer.at < lexer.text.len() {
        lexer.step();
    }
    lexer.out
}

fn wordy(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_' || octet >= 0x80
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, with: &[u8]) -> bool {
        self.text[self.at..].starts_with(with)
    }

    fn line(&self) -> u32 {
        self.out.lines.len() as u32 - 1
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, line: u32) {
        self.out.tokens.push(Token { kind, start: start as u32, end: end as u32, line });
    }

    /// Moves on to `end`, counting lines.
    fn advance(&mut self, end: usize) {
        let end = end.min(self.text.len());
        for at in self.at..end {
            if self.text[at] == b'\n' {
                self.out.lines.push(at as u32 + 1);
            }
        }
        self.at = end;
    }

    fn step(&mut self) {
        let octet = self.peek(0);
        match octet {
            b'\n' => {
                if self.language == Language::Shell {
                    let line = self.line();
                    self.push(Kind::Mark, self.at, self.at + 1, line);
                }
                self.advance(self.at + 1);
                self.here_documents();
            }
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.at += 1,
            _ if self.comment_begins(octet) => self.comment(octet),
            b'/' if self.language == Language::Perl && self.perl_pattern_may_begin() => self.perl_pattern(),
            b'<' if self.language == Language::Perl && self.perl_here_document() => {
                self.here_document_announced();
            }
            b'\'' if self.language == Language::Perl && self.perl_apostrophe() => self.at += 1,
            b'"' | b'\'' | b'`' => self.quote(octet),
            b'/' if self.language == Language::JavaScript && self.pattern_may_begin() => self.pattern(),
            _ if self.language == Language::Shell => self.shell_word(octet),
            _ if wordy(octet) => self.word(octet),
            _ => {
                let line = self.line();
                self.push(Kind::Mark, self.at, self.at + 1, line);
                self.at += 1;
            }
        }
    }

    fn comment_begins(&self, octet: u8) -> bool {
        match self.language {
            Language::Python => octet == b'#',
            Language::Perl => octet == b'#' && self.perl_comment() || self.perl_prose().is_some(),
            Language::Shell => {
                octet == b'#'
                    && (self.at == 0 || matches!(self.text[self.at - 1], b' ' | b'\t' | b'\n' | b';' | b'('))
            }
            Language::Config => match octet {
                b'#' | b';' => self.at == 0 || self.text[self.at - 1].is_ascii_whitespace(),
                b'/' => {
                    self.peek(1) == b'/' && (self.at == 0 || self.text[self.at - 1].is_ascii_whitespace())
                }
                b'<' => self.starts(b"<!--"),
                _ => false,
            },
            Language::Sql => self.starts(b"--") || self.starts(b"/*"),
            _ => octet == b'/' && matches!(self.peek(1), b'/' | b'*'),
        }
    }

    fn comment(&mut self, octet: u8) {
        let (start, line) = (self.at, self.line());
        let begin = self.out.lines[line as usize] as usize;
        let alone = self.text[begin..start].iter().take(200).all(u8::is_ascii_whitespace);
        let prose = if self.language == Language::Perl { self.perl_prose() } else { None };
        let end = if let Some(end) = prose {
            end
        } else if octet == b'/' && self.peek(1) == b'*' {
            self.block_comment()
        } else if octet == b'<' {
            find(self.text, start, b"-->").map_or(self.text.len(), |at| at + 3)
        } else {
            self.end_of_line(start)
        };
        self.advance(end);
        self.out.comments.push(Comment { start: start as u32, end: self.at as u32, line, alone });
    }

    /// The end of a `/* */`; in Rust they nest.
    fn block_comment(&self) -> usize {
        let (mut at, mut depth) = (self.at + 2, 1_u32);
        while at < self.text.len() {
            match (self.text[at], self.text.get(at + 1)) {
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return at;
                    }
                }
                (b'/', Some(b'*')) if self.language == Language::Rust => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        self.text.len()
    }

    fn end_of_line(&self, from: usize) -> usize {
        self.text[from..].iter().position(|octet| *octet == b'\n').map_or(self.text.len(), |at| from + at)
    }

    fn quote(&mut self, quote: u8) {
        match (quote, self.language) {
            (b'\'', Language::Rust) if self.is_lifetime() => {
                self.at += 1;
                let start = self.at;
                while wordy(self.peek(0)) {
                    self.at += 1;
                }
                let line = self.line();
                self.push(Kind::Mark, start - 1, start, line);
            }
            (b'`', Language::Go) => self.string(1, b"`", false, true),
            (b'`', Language::JavaScript) => self.string(1, b"`", true, true),
            (b'`', _) => {
                let line = self.line();
                self.push(Kind::Mark, self.at, self.at + 1, line);
                self.at += 1;
            }
            (_, Language::Python | Language::Java) if self.starts(&[quote; 3]) => {
                self.string(3, &[quote; 3], true, true);
            }
            (b'"' | b'\'', Language::Perl) => self.string(1, &[quote], true, true),
            (b'"', Language::Rust | Language::Shell) => self.string(1, b"\"", true, true),
            (b'\'', Language::Shell) => self.string(1, b"'", false, true),
            // An apostrophe in prose; a string of YAML begins after white space or a bracket.
            (b'\'', Language::Config) if self.at > 0 && wordy(self.text[self.at - 1]) => self.at += 1,
            _ => self.string(1, &[quote], true, false),
        }
    }

    /// `'a` that no quote ends.
    fn is_lifetime(&self) -> bool {
        self.peek(1) != b'\\' && wordy(self.peek(1)) && self.peek(1) < 0x80 && self.peek(2) != b'\''
    }

    /// A string whose opening is `opening` octets long and that `close` ends, or the end of the line where it
    /// may not span lines.
    fn string(&mut self, opening: usize, close: &[u8], escapes: bool, lines: bool) {
        let (start, line) = (self.at + opening, self.line());
        let mut at = start;
        let end = loop {
            match self.text.get(at) {
                None => break self.text.len(),
                Some(b'\\') if escapes => at += 2,
                Some(b'\n') if !lines => break at,
                Some(_) if self.text[at..].starts_with(close) => break at,
                Some(_) => at += 1,
            }
        };
        let end = end.min(self.text.len());
        self.push(Kind::Text, start.min(end), end, line);
        let closed = self.text[end..].starts_with(close) && end < self.text.len();
        self.advance(if closed { end + close.len() } else { end });
    }

    /// Whether a slash begins a regular expression: it does where no value stands before it.
    fn pattern_may_begin(&self) -> bool {
        let Some(last) = self.out.tokens.last() else { return true };
        match last.kind {
            Kind::Mark => !matches!(self.text[last.start as usize], b')' | b']' | b'}'),
            Kind::Word => {
                matches!(&self.text[last.start as usize..last.end as usize], b"return" | b"typeof" | b"case")
            }
            _ => false,
        }
    }

    fn pattern(&mut self) {
        let (start, line) = (self.at + 1, self.line());
        let (mut at, mut class) = (start, false);
        loop {
            match self.text.get(at) {
                None | Some(b'\n') => break,
                Some(b'/') if !class => break,
                Some(b'\\') => at += 1,
                Some(b'[') => class = true,
                Some(b']') => class = false,
                _ => {}
            }
            at += 1;
        }
        let end = at.min(self.text.len());
        self.push(Kind::Pattern, start.min(end), end, line);
        self.advance(if self.text.get(end) == Some(&b'/') { end + 1 } else { end });
    }

    fn word(&mut self, first: u8) {
        let (start, line) = (self.at, self.line());
        if first.is_ascii_digit() {
            // A number takes its dots and its suffix along: 10.0.0.1 is one token.
            while wordy(self.peek(0)) || (self.peek(0) == b'.' && self.peek(1).is_ascii_digit()) {
                self.at += 1;
            }
            self.push(Kind::Number, start, self.at, line);
            return;
        }
        while wordy(self.peek(0)) {
            self.at += 1;
        }
        if self.prefixed_string(start) || self.language == Language::Perl && self.perl_quote_like(start) {
            return;
        }
        self.push(Kind::Word, start, self.at, line);
    }

    /// The string after a prefix such as Rust's `r#`, Python's `rb`, C++'s `R`; the word before it was read.
    fn prefixed_string(&mut self, start: usize) -> bool {
        let prefix = &self.text[start..self.at];
        let quote = self.peek(0);
        if prefix.len() > 3 {
            return false;
        }
        match self.language {
            Language::Rust if matches!(prefix, b"r" | b"br" | b"cr") && matches!(quote, b'#' | b'"') => {
                let hashes =
                    self.text[self.at..].iter().take(255).take_while(|octet| **octet == b'#').count();
                if self.peek(hashes) != b'"' {
                    return false;
                }
                let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
                self.string(hashes + 1, &close, false, true);
                true
            }
            Language::Python if matches!(quote, b'"' | b'\'') => {
                if !prefix.iter().all(|octet| b"rRbBuUfFtT".contains(octet)) {
                    return false;
                }
                self.quote(quote);
                true
            }
            Language::Cpp | Language::C if quote == b'"' && prefix.ends_with(b"R") => {
                let rest = &self.text[self.at + 1..];
                let Some(length) = rest.iter().take(17).position(|octet| *octet == b'(') else {
                    return false;
                };
                let close = [b")", &rest[..length], b"\""].concat();
                self.string(length + 2, &close, false, true);
                true
            }
            _ => false,
        }
    }

    fn shell_word(&mut self, first: u8) {
        let line = self.line();
        let start = self.at;
        if first == b'<' && self.starts(b"<<") && self.peek(2) != b'<' {
            self.here_document_announced();
            return;
        }
        if matches!(first, b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>') {
            self.push(Kind::Mark, start, start + 1, line);
            self.at += 1;
            return;
        }
        // `$(` begins a command.
        if first == b'$' && self.peek(1) == b'(' {
            self.push(Kind::Mark, start + 1, start + 2, line);
            self.at += 2;
            return;
        }
        loop {
            match self.peek(0) {
                b'\\' => self.advance(self.at + 2),
                b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>' | b'"' | b'\'' | b'`' => break,
                octet if octet.is_ascii_whitespace() => break,
                0 if self.at >= self.text.len() => break,
                b'$' if self.peek(1) == b'(' => break,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        if self.at > start {
            self.push(Kind::Word, start, self.at, line);
        } else {
            self.at += 1;
        }
    }

    fn here_document_announced(&mut self) {
        self.at += 2;
        while matches!(self.peek(0), b'-' | b'~' | b' ' | b'\t' | b'\'' | b'"' | b'\\') {
            self.at += 1;
        }
        let start = self.at;
        while wordy(self.peek(0)) {
            self.at += 1;
        }
        let end = self.at;
        if matches!(self.peek(0), b'\'' | b'"') {
            self.at += 1;
        }
        // More on one line than this is no script that a person wrote.
        if end > start && self.heredocs.len() < 8 {
            self.heredocs.push((start, end));
        }
    }

    /// The bodies of the here-documents that the line before announced: text, each.
    fn here_documents(&mut self) {
        for (from, to) in std::mem::take(&mut self.heredocs) {
            let (start, line) = (self.at, self.line());
            let mut at = start;
            let end = loop {
                if at >= self.text.len() {
                    break self.text.len();
                }
                let end = self.end_of_line(at);
                if self.text[at..end].trim_ascii() == &self.text[from..to] {
                    break at;
                }
                at = end + 1;
            };
            self.push(Kind::Text, start, end, line);
            let after = self.end_of_line(end);
            self.advance(after);
        }
    }
}

fn find(text: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    text[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}
