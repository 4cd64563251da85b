//! IPv4 addresses in strings: `ipv4-literal`, `bind-ipv4-any`, `loopback-literal`, `loopback-compare`,
//! `online-check`.

use super::family::{handled, one_sided};
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::literal::{self, Literal, Purpose};
use crate::rule::{self, Rule};
use crate::source::Source;
use crate::{Confidence, Language, words};

/// Strings longer than this are data or prose.
const LONG: usize = 160;

pub(crate) fn text(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if text.len() < 7 || text.len() > LONG || !text.contains('.') {
        return;
    }
    let line = source.line(at);
    // A table of them is one finding.
    if out.findings.last().is_some_and(|last| last.line == line + 1 && last.rule.id == rule::LITERAL.id) {
        return;
    }
    if source.is_test(line) && text.len() > 64 {
        return;
    }
    for found in literal::find(text) {
        if let Some((rule, confidence)) = judge(source, at, text, &found) {
            out.token(rule, at, confidence, text);
            return;
        }
    }
}

fn judge(source: &Source<'_>, at: usize, text: &str, found: &Literal) -> Option<(&'static Rule, Confidence)> {
    let line = source.line(at);
    // An address in a sentence (a message, a usage text) is an example.
    let sentence = text.split_whitespace().count() > 3 || literal::is_example(text);
    let alone = found.start == 0 && text[found.end..].chars().next().is_none_or(|next| ":/".contains(next));
    // IPv4Network("10.0.0.0/8"): a range that its type says to be IPv4's; its twin has another.
    let range = text[found.end..].starts_with('/');
    let typed = || {
        source
            .on_line(at)
            .any(|at| source.kind(at) == Some(Kind::Word) && words::speaks_of_four(source.get(at)))
    };
    if range && typed() {
        return None;
    }
    match found.purpose() {
        Purpose::Example => None,
        _ if sentence => None,
        Purpose::Any if compared(source, at) => None,
        Purpose::Any if text.contains('/') => None,
        Purpose::Any => {
            let confidence = if alone { one_sided(source) } else { Confidence::Medium };
            (!handled(source, line) && !named_version(source, at)).then_some((&rule::BIND_ANY, confidence))
        }
        Purpose::Loopback if range => other(source, at, text, found),
        Purpose::Loopback if compared(source, at) => {
            (!source.six_near(line, 4)).then_some((&rule::LOOPBACK_COMPARE, Confidence::High))
        }
        Purpose::Loopback => {
            let known = source.six_near(line, 6);
            let confidence = if handled(source, line) { Confidence::Medium } else { Confidence::High };
            (!known).then_some((&rule::LOOPBACK, confidence))
        }
        Purpose::Resolver if !compared(source, at) => {
            let asks = source.within(at, 2, 2).any(|at| {
                let word = source.get(at);
                matches!(
                    word,
                    "connect"
                        | "create_connection"
                        | "Dial"
                        | "DialTimeout"
                        | "ping"
                        | "Socket"
                        | "connect_ex"
                        | "isReachable"
                        | "createConnection"
                        | "inet_addr"
                        | "exec"
                        | "spawn"
                        | "system"
                        | "run"
                )
            });
            let kind = if asks { &rule::ONLINE } else { &rule::LITERAL };
            (!source.six_near(line, 4)).then_some((kind, Confidence::Medium))
        }
        Purpose::Resolver => None,
        Purpose::Mask => {
            let masked = source.on_line(at).any(|at| {
                words::each(source.get(at), |word| {
                    matches!(word, "mask" | "netmask" | "broadcast" | "sendto" | "bcast")
                })
            });
            (masked && !handled(source, line)).then_some((&rule::LITERAL, Confidence::Medium))
        }
        Purpose::Other => other(source, at, text, found),
    }
}

fn other(source: &Source<'_>, at: usize, text: &str, found: &Literal) -> Option<(&'static Rule, Confidence)> {
    let line = source.line(at);
    if named_version(source, at) || words::is_version(text) || source.six_near(line, 4) {
        return None;
    }
    let context = source.on_line(at).any(|other| other != at && words::is_address(source.get(other)));
    let url = text.contains("://");
    if found.is_versionlike() && !context && !url {
        return None;
    }
    let confidence = if context || url { Confidence::Medium } else { Confidence::Low };
    Some((&rule::LITERAL, confidence))
}

/// Words on the line that say that the four numbers are no address.
fn named_version(source: &Source<'_>, at: usize) -> bool {
    source
        .on_line(at)
        .any(|other| source.kind(other) == Some(Kind::Word) && words::is_version(source.get(other)))
}

/// Compared with `==`, `!=`, `equals`, `strcmp` or looked up in a list.
pub(crate) fn compared(source: &Source<'_>, at: usize) -> bool {
    let pair = |at: usize| (source.is(at, "=") || source.is(at, "!")) && source.is(at + 1, "=");
    let before = at >= 2 && pair(at - 2);
    let perl = source.language == Language::Perl;
    let after = pair(at + 1)
        || perl && (source.is_before(at, "eq") || source.is_before(at, "ne") || source.is(at + 1, "eq"));
    let function = (at.saturating_sub(6)..at).any(|at| {
        matches!(
            source.get(at),
            "equals"
                | "strcmp"
                | "strncmp"
                | "strcasecmp"
                | "startswith"
                | "startsWith"
                | "starts_with"
                | "HasPrefix"
                | "eq"
                | "includes"
                | "contains"
                | "EqualFold"
                | "equalsIgnoreCase"
                | "streq"
                | "matches"
        ) && (source.is(at + 1, "(") || source.is(at + 1, "!"))
    });
    let listed = (at.saturating_sub(6)..at)
        .any(|at| source.is(at, "in") && matches!(source.get(at + 1), "(" | "[" | "{"));
    let case = (at.saturating_sub(4)..at).any(|at| source.is(at, "case"));
    before || after || function || listed || case
}
