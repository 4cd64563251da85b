//! What is written in Perl alone: classes of sockets, `split` with a pattern, addresses packed and unpacked.

use super::family::{handled, one_sided};
use super::split;
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::rule;
use crate::source::{REACH, Source};
use crate::{Confidence, words};

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let line = source.line(at);
    let sigil = ["$", "@", "%"].iter().any(|sigil| source.is_before(at, sigil));
    if sigil {
        return;
    }
    match word {
        // IO::Socket::INET->new(...), new IO::Socket::INET(...).
        "INET" if at >= 3 && source.is(at - 3, "Socket") => {
            let made = source.is(at + 1, "-") && source.is(at + 3, "new")
                || at >= 7 && source.is(at - 7, "new")
                || source.is(at + 1, "(");
            if made && !handled(source, line) {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), "IO::Socket::INET");
            }
        }
        "sockaddr_in" | "pack_sockaddr_in" | "unpack_sockaddr_in"
            if source.is(at + 1, "(") && !source.is_before(at, "sub") && !handled(source, line) =>
        {
            out.token(&rule::SOCKADDR_IN, at, one_sided(source), word);
        }
        "split" => take_apart(source, at, out),
        "unpack" => {
            let four =
                (at + 1..at + 4).any(|at| matches!(source.string(at), Some("C4" | "CCCC" | "N" | "C*")));
            let named = (at + 2..at + 10).take_while(|at| !source.is(*at, ";")).any(|at| {
                matches!(source.get(at), "inet_aton" | "gethostbyname")
                    || words::is_ip_or_address(source.get(at))
            });
            if four && named && !source.six_near(line, 6) {
                out.token(&rule::UINT32, at, Confidence::Medium, "an address unpacked as four octets");
            }
        }
        "getaddrinfo" => first(source, at, out),
        _ => {}
    }
}

/// `split /:/, $address`, `split(/\./, $ip)`.
fn take_apart(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let separator = if source.is(at + 1, "(") { at + 2 } else { at + 1 };
    if !matches!(source.kind(separator), Some(Kind::Text | Kind::Pattern)) {
        return;
    }
    let end = (separator..separator + 12)
        .find(|at| source.is(*at, ";") || source.is(*at, ")"))
        .unwrap_or(separator + 12);
    let what = separator + 1..end.min(source.len());
    match source.get(separator) {
        ":" => split::colon(source, at, what, false, out),
        r"\." | "[.]" => split::dots(source, at, what, out),
        _ => {}
    }
}

/// `my ($error, @all) = getaddrinfo(...)`, and then `$all[0]` alone.
fn first(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let line = source.line(at);
    let list = (at.saturating_sub(12)..at)
        .rev()
        .take_while(|at| !source.is(*at, ";") && source.line(*at) + 1 >= line)
        .find(|at| source.is(*at, "@"))
        .map(|at| source.get(at + 1));
    let Some(list) = list.filter(|_| !source.near(line, 2, 2, &["AI_NUMERICHOST"])) else { return };
    let mut indexed = false;
    for next in at + 1..(at + 3 * REACH).min(source.len()) {
        if source.line(next) > line + 12 {
            break;
        }
        if source.is(next, list) {
            // A loop over all of them.
            if source.is_before(next, "@") {
                return;
            }
            indexed |= source.is(next + 1, "[") && source.is(next + 2, "0") && source.is(next + 3, "]");
        }
    }
    if indexed {
        out.token(&rule::FIRST_RESULT, at, Confidence::Medium, "getaddrinfo, then [0]");
    }
}
