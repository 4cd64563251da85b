//! What Perl alone writes: documentation between the code, quotes with delimiters of one's choice, patterns.

use super::{Kind, Lexer, wordy};

/// Words after which a slash begins a pattern, because no value stands before it.
const OPERATORS: [&[u8]; 12] = [
    b"split", b"grep", b"map", b"join", b"if", b"unless", b"and", b"or", b"not", b"return", b"while", b"when",
];

impl Lexer<'_> {
    /// Documentation (`=head1` to `=cut`), or what follows the program (`__END__`): where it ends, if it begins here.
    pub(super) fn perl_prose(&self) -> Option<usize> {
        let line_begins = self.at == 0 || self.text[self.at - 1] == b'\n';
        if !line_begins {
            return None;
        }
        if self.starts(b"__END__") || self.starts(b"__DATA__") {
            return Some(self.text.len());
        }
        if self.peek(0) != b'=' || !self.peek(1).is_ascii_alphabetic() {
            return None;
        }
        let mut at = self.at;
        while at < self.text.len() {
            let end = self.end_of_line(at);
            if self.text[at..].starts_with(b"=cut") {
                return Some(end);
            }
            at = end + 1;
        }
        Some(self.text.len())
    }

    /// Whether `#` begins a comment; it does not in `$#list` and as a delimiter.
    pub(super) fn perl_comment(&self) -> bool {
        self.at == 0
            || matches!(
                self.text[self.at - 1],
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'{' | b'}' | b'(' | b')' | b','
            )
    }

    /// Whether an apostrophe belongs to a name, as it did in packages of old (`main'x`).
    pub(super) fn perl_apostrophe(&self) -> bool {
        self.at > 0 && wordy(self.text[self.at - 1]) && self.peek(1).is_ascii_alphabetic()
    }

    pub(super) fn perl_pattern_may_begin(&self) -> bool {
        let Some(last) = self.out.tokens.last() else { return true };
        let text = &self.text[last.start as usize..last.end as usize];
        match last.kind {
            Kind::Mark => !matches!(text, b")" | b"]" | b"}"),
            Kind::Word => OPERATORS.contains(&text) && !self.perl_named(last.start as usize),
            _ => false,
        }
    }

    /// Whether the word at `start` is the name of a variable, a method or a package.
    fn perl_named(&self, start: usize) -> bool {
        start > 0 && matches!(self.text[start - 1], b'$' | b'@' | b'%' | b'&' | b'>' | b':' | b'*')
    }

    /// `q`, `qq`, `qw`, `m`, `qr`, `s`, `tr`, `y` with a delimiter; the word was read. Whether it was one.
    pub(super) fn perl_quote_like(&mut self, start: usize) -> bool {
        let word = &self.text[start..self.at];
        let (kind, parts) = match word {
            b"q" | b"qq" | b"qw" | b"qx" => (Kind::Text, 1),
            b"m" | b"qr" => (Kind::Pattern, 1),
            b"s" => (Kind::Pattern, 2),
            b"tr" | b"y" => (Kind::Text, 2),
            _ => return false,
        };
        if self.perl_named(start) {
            return false;
        }
        let blank =
            self.text[self.at..].iter().take(8).take_while(|octet| matches!(octet, b' ' | b'\t')).count();
        let open = self.peek(blank);
        let delimits = open.is_ascii_punctuation()
            && !matches!(open, b',' | b';' | b')' | b'}' | b']' | b'_' | b'$' | b'@' | b'\\' | b'.')
            && !(open == b'=' && (blank > 0 || self.peek(1) == b'>'))
            && !(open == b'-' && self.peek(blank + 1) == b'>')
            && !(open == b'#' && blank > 0);
        if !delimits {
            return false;
        }
        self.at += blank;
        let end = self.perl_delimited(kind);
        let mut at = end;
        if parts == 2 {
            let bracket = matches!(open, b'(' | b'[' | b'{' | b'<');
            if bracket {
                at +=
                    self.text[at..].iter().take(200).take_while(|octet| octet.is_ascii_whitespace()).count();
                if let Some(open) = self.text.get(at).copied() {
                    at = self.perl_end(at + 1, open).1;
                }
            } else {
                at = self.perl_end(at, open).1;
            }
        }
        self.advance(at);
        true
    }

    /// Takes what is between the delimiters that begin here; where it goes on.
    fn perl_delimited(&mut self, kind: Kind) -> usize {
        let line = self.line();
        let (start, open) = (self.at + 1, self.peek(0));
        let (end, after) = self.perl_end(start, open);
        self.push(kind, start.min(end), end, line);
        after
    }

    /// Where what `open` began ends, and what comes after it.
    fn perl_end(&self, from: usize, open: u8) -> (usize, usize) {
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let (mut at, mut depth) = (from, 1_u32);
        while let Some(octet) = self.text.get(at) {
            match *octet {
                b'\\' => at += 1,
                octet if octet == close => {
                    depth -= 1;
                    if depth == 0 {
                        return (at, at + 1);
                    }
                }
                octet if octet == open => depth += 1,
                _ => {}
            }
            at += 1;
        }
        (self.text.len(), self.text.len())
    }

    /// A pattern between slashes.
    pub(super) fn perl_pattern(&mut self) {
        let after = self.perl_delimited(Kind::Pattern);
        self.advance(after);
    }

    /// Whether `<<` announces a here-document and is no shift.
    pub(super) fn perl_here_document(&self) -> bool {
        self.starts(b"<<")
            && (matches!(self.peek(2), b'"' | b'\'' | b'~' | b'_') || self.peek(2).is_ascii_uppercase())
    }
}
