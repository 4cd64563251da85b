//! Sockets that listen: `v6only-unset`, `sin6-unset`, INADDR_ANY and INADDR_LOOPBACK.

use super::family::{defines, handled, one_sided};
use crate::finding::Collector;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, Language};

/// Names under which IPV6_V6ONLY is set.
const V6ONLY: [&str; 6] =
    ["IPV6_V6ONLY", "set_only_v6", "only_v6", "ipv6Only", "ipv6_v6only", "has_dualstack_ipv6"];

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let line = source.line(at);
    match word {
        "INADDR_ANY" if !defines(source, at) && !handled(source, line) && !matches_only(source, at) => {
            // Bound to port 0 for sending, it is still one family.
            out.token(&rule::BIND_ANY, at, one_sided(source), word);
        }
        "INADDR_LOOPBACK" if !defines(source, at) && !handled(source, line) => {
            out.token(&rule::LOOPBACK, at, one_sided(source), word);
        }
        "socket" if source.is(at + 1, "(") => {
            let six = (at + 2..at + 5).any(|at| matches!(source.get(at), "AF_INET6" | "PF_INET6"));
            let binds = source.has("bind") && (source.has("listen") || source.near(line, 0, 60, &["bind"]));
            let set = V6ONLY.iter().any(|word| source.has(word));
            if six && binds && !set && !matches!(source.language, Language::Rust) {
                out.token(&rule::V6ONLY, at, Confidence::High, "socket(AF_INET6, ...), bind, no IPV6_V6ONLY");
            }
        }
        "AI_PASSIVE" if source.language.is_c() && !defines(source, at) => {
            let set = V6ONLY.iter().any(|word| source.has(word));
            if source.has("bind") && source.has("listen") && !set && !source.has("AF_INET") {
                out.token(&rule::V6ONLY, at, Confidence::Medium, "AI_PASSIVE, bind, no IPV6_V6ONLY");
            }
        }
        "IPV6" if source.language == Language::Rust => {
            let domain = source.is_before(at, ":") && at >= 3 && source.is(at - 3, "Domain");
            let set = V6ONLY.iter().any(|word| source.has(word));
            if domain && source.has("bind") && source.has("listen") && !set {
                out.token(&rule::V6ONLY, at, Confidence::Medium, "Domain::IPV6, bind, no set_only_v6");
            }
        }
        "bind" if source.language == Language::Rust && source.is(at + 1, "(") => {
            let any = source.string(at + 2).is_some_and(|text| text.starts_with("[::]:"));
            if any && source.is_before(at, ":") {
                out.token(
                    &rule::V6ONLY,
                    at,
                    Confidence::High,
                    "bind(\"[::]:...\"): std never sets IPV6_V6ONLY",
                );
            }
        }
        "sockaddr_in6" if source.language.is_c() => unset(source, at, out),
        _ => {}
    }
}

/// Compared with, not bound to.
fn matches_only(source: &Source<'_>, at: usize) -> bool {
    (at.saturating_sub(4)..at)
        .any(|at| source.is(at, "=") && (source.is_before(at, "=") || source.is_before(at, "!")))
}

/// `struct sockaddr_in6 x;` whose fields are set one by one, without all being set to zero before.
fn unset(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let name = source.get(at + 1);
    if !source.is(at + 2, ";") || name.is_empty() || source.is(at + 1, "*") {
        return;
    }
    let line = source.line(at);
    let (mut filled, mut next) = (false, at + 3);
    while next < source.len() && source.line(next) <= line + 25 && next - at < 4 * crate::source::REACH {
        let word = source.get(next);
        if matches!(
            word,
            "memset" | "bzero" | "memcpy" | "sin6_flowinfo" | "memzero" | "explicit_bzero" | "ZeroMemory"
        ) {
            return;
        }
        if source.is(next, name) && source.is(next + 1, "=") {
            return;
        }
        // Somebody else fills it.
        let given = source.is_before(next, "&") && source.is(next, name);
        if given && !filled {
            return;
        }
        let member = source.is(next, name) && source.is(next + 1, ".");
        filled |= member && matches!(source.get(next + 2), "sin6_family" | "sin6_port" | "sin6_addr");
        next += 1;
    }
    if filled {
        out.token(&rule::SIN6_UNSET, at, Confidence::High, name);
    }
}
