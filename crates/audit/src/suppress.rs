//! Comments that allow a finding: `ipv6-audit: allow RULE[, RULE] because REASON`, for their own line, or
//! where they stand alone, for the next line of code; `allow-file` for the whole file.

use crate::finding::Collector;
use crate::lexer::Comment;
use crate::rule::{self, Rule};
use crate::source::Source;
use crate::{Audited, Confidence};

const MARK: &str = "ipv6-audit:";

/// Takes away what comments allow, reports those that give no reason, and puts the rest in the order of
/// lines.
pub(crate) fn apply(source: &Source<'_>, mut out: Collector<'_, '_>) -> Audited {
    let mut of_lines: Vec<(u32, &'static Rule)> = Vec::new();
    let mut of_file: Vec<&'static Rule> = Vec::new();
    for comment in &source.lexed.comments {
        let text = source.text.get(comment.start as usize..comment.end as usize).unwrap_or("");
        let Some(at) = text.find(MARK) else { continue };
        // Where it does not begin the comment, somebody writes about it.
        if text[..at].contains(char::is_alphanumeric) {
            continue;
        }
        let directive = text[at + MARK.len()..].lines().next().unwrap_or("").trim();
        let (whole, rest) = if let Some(rest) = directive.strip_prefix("allow-file ") {
            (true, rest)
        } else if let Some(rest) = directive.strip_prefix("allow ") {
            (false, rest)
        } else {
            continue;
        };
        let (names, reason) = rest.split_once(" because ").unwrap_or((rest, ""));
        let reasoned = reason.chars().filter(|letter| letter.is_alphanumeric()).count() >= 3;
        for name in names.split(',').map(str::trim) {
            match Rule::by_id(name) {
                // A reason is what makes it count.
                Some(allowed) if reasoned && whole => {
                    if !of_file.iter().any(|known| known.id == allowed.id) {
                        of_file.push(allowed);
                    }
                }
                Some(allowed) if reasoned => of_lines.push((line_of(source, *comment), allowed)),
                _ => out.place(&rule::ALLOW, comment.line, 0, Confidence::High, directive),
            }
        }
    }
    let before = out.findings.len();
    of_lines.sort_unstable_by_key(|(line, _)| *line);
    out.findings.retain(|found| {
        let from = of_lines.partition_point(|(line, _)| *line + 1 < found.line);
        let allowed = of_lines[from..].iter().take_while(|(line, _)| *line + 1 == found.line);
        !allowed.map(|(_, rule)| *rule).chain(of_file.iter().copied()).any(|rule| rule.id == found.rule.id)
    });
    let allowed = (before - out.findings.len()) as u32;
    let (mut findings, dropped) = (out.findings, out.dropped);
    findings.sort_by_key(|found| (found.line, found.column, found.rule.id));
    Audited { language: source.language, findings, allowed, dropped }
}

/// The line that a comment speaks of.
fn line_of(source: &Source<'_>, comment: Comment) -> u32 {
    if !comment.alone {
        return comment.line;
    }
    let tokens = &source.lexed.tokens;
    let next = tokens.partition_point(|token| token.start < comment.end);
    // In shell the end of the comment's own line is a token.
    tokens[next..].iter().map(|token| token.line).find(|line| *line > comment.line).unwrap_or(comment.line)
}
