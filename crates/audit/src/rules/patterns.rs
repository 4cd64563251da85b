//! Patterns and formats of four numbers: `ipv4-pattern`.

// ipv6-audit: allow-file ipv4-pattern because it looks for such patterns
use crate::finding::Collector;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, words};

/// Pieces of which a pattern for an IPv4 address is made; two with a dot between are one.
const PIECES: [&str; 9] =
    [r"\d{1,3}", r"[0-9]{1,3}", r"\d\d?\d?", r"25[0-5]", r"\d+", r"[0-9]+", r"[0-9]*", r"\\d{1,3}", r"\\d+"];
const FORMATS: [&str; 5] =
    ["%d.%d.%d.%d", "%u.%u.%u.%u", "%hhu.%hhu.%hhu.%hhu", "%i.%i.%i.%i", "%3d.%3d.%3d.%3d"];

pub(crate) fn text(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if text.len() < 7 || text.len() > 1000 {
        return;
    }
    let Some(confidence) = judge(text) else { return };
    let line = source.line(at);
    if source.six_near(line, 8) {
        return;
    }
    let around = source.within(at, 2, 1);
    if words::is_version(text) || around.clone().any(|at| words::is_version(source.get(at))) {
        return;
    }
    let named = around.clone().any(|other| words::is_address(source.get(other))) || words::is_address(text);
    let confidence = if named { Confidence::High } else { confidence };
    out.token(&rule::PATTERN, at, confidence, text);
}

fn judge(text: &str) -> Option<Confidence> {
    if FORMATS.iter().any(|format| text.contains(format)) || text.contains("{}.{}.{}.{}") {
        return Some(Confidence::Medium);
    }
    let dots = text.matches(r"\.").count() + text.matches("[.]").count();
    if dots == 0
        || text.contains("a-z")
        || text.contains("a-f")
        || text.contains("A-F")
        || text.contains(r"\w")
    {
        return None;
    }
    let strong = text.contains("{1,3}")
        || text.contains(r"\{1,3\}")
        || text.contains("25[0-5]")
        || text.contains(r"\d\d?\d?");
    let pieces: usize = PIECES.iter().map(|piece| text.matches(piece).count()).sum();
    let repeated = text.contains("{3}") || text.contains(r"\{3\}") || text.contains("{4}");
    if strong && (dots >= 3 || repeated) {
        return Some(Confidence::High);
    }
    // Exactly four numbers: with fewer or more it is something else.
    (dots == 3 && pieces == 4).then_some(Confidence::Low)
}
