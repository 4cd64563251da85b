//! Configuration files, line by line: addresses to listen on, addresses at all.

use crate::finding::Collector;
use crate::literal::{self, Purpose};
use crate::rule;
use crate::source::Source;
use crate::{Confidence, words};

pub(crate) fn run(source: &Source<'_>, out: &mut Collector<'_, '_>) {
    let lines = source.lexed.lines.len() as u32;
    let mut comments = source.lexed.comments.iter().peekable();
    for line in 0..lines {
        let start = source.lexed.lines[line as usize] as usize;
        let end = source.lexed.lines.get(line as usize + 1).map_or(source.text.len(), |end| *end as usize);
        // Comments end a line; one that spans lines hides those too.
        let mut code = start..end;
        while let Some(comment) = comments.peek() {
            if comment.end as usize <= start {
                comments.next();
                continue;
            }
            if (comment.start as usize) < end {
                code.end = (comment.start as usize).clamp(start, end);
            }
            break;
        }
        if let Some(text) = source.text.get(code).filter(|text| text.len() < 2000) {
            one(source, line, text, out);
        }
    }
}

/// Help texts and examples stand in such files too. A setting is a key, a separator, and not much more.
fn is_prose(text: &str, key: &str, end: usize) -> bool {
    let quoted = key.ends_with('`') || text[end..].starts_with('`');
    let before = key.trim_end_matches([' ', '\t', '"', '\'', '[', '-', ',']);
    // `--listen 10.0.0.1`
    let option = key.split_whitespace().next_back().is_some_and(|word| word.starts_with('-'));
    let assigned = before.ends_with([':', '=']) || before.is_empty() || option;
    let words =
        |text: &str| text.split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count();
    quoted || words(text) > 8 || (!assigned && words(key) > 2) || literal::is_example(text)
}

fn one(source: &Source<'_>, line: u32, text: &str, out: &mut Collector<'_, '_>) {
    if !text.contains('.') {
        return;
    }
    let found = literal::find(text);
    let Some(first) = found.first() else { return };
    let key = &text[..first.start];
    if is_prose(text, key, first.end) {
        return;
    }
    if words::is_version(key) || words::is_test_path(source.path) && first.purpose() == Purpose::Other {
        return;
    }
    // The twin may stand a few lines further on, under the same key.
    if source.six_near(line, 3) {
        return;
    }
    let listens = words::each(key, |word| {
        matches!(
            word,
            "listen"
                | "listenaddress"
                | "listenstream"
                | "listendatagram"
                | "bind"
                | "bindaddress"
                | "address"
                | "addr"
                | "host"
                | "server"
                | "interface"
                | "interfaces"
                | "listener"
                | "hostip"
                | "expose"
                | "ports"
                | "port"
                | "endpoint"
                | "http"
                | "inet"
                | "local"
                | "ip"
                | "addresses"
        )
    });
    let (rule, confidence) = match first.purpose() {
        Purpose::Example | Purpose::Mask => return,
        Purpose::Any if text[first.end..].starts_with("/0") => (&rule::LITERAL, Confidence::Medium),
        Purpose::Any | Purpose::Loopback if listens => (&rule::CONFIG_LISTEN, Confidence::High),
        Purpose::Any => (&rule::BIND_ANY, Confidence::Medium),
        Purpose::Loopback => (&rule::LOOPBACK, Confidence::Medium),
        Purpose::Other if first.is_versionlike() && !listens => return,
        Purpose::Resolver | Purpose::Other => (&rule::LITERAL, Confidence::Medium),
    };
    let column = first.start as u32;
    out.place(rule, line, column, confidence, text.trim());
}
