//! Names to addresses and back: `old-resolver`, `old-conversion`, `eai-as-errno`, `hints-misuse`,
//! `first-result`.

use super::family::{defines, handled, one_sided};
use crate::finding::Collector;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, Language};

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let line = source.line(at);
    // In Perl brackets around arguments may be left out.
    let bare = source.language == Language::Perl
        && (matches!(source.get(at + 1), "$" | "@" | "&") || source.string(at + 1).is_some());
    let call = source.is(at + 1, "(") || bare;
    match word {
        "gethostbyname" | "gethostbyname_r" | "gethostbyname_ex" | "gethostbyaddr" | "gethostbyaddr_r" => {
            // gethostbyaddr does IPv6 where it is told so.
            let told = word.starts_with("gethostbyaddr") && handled(source, line);
            let known =
                matches!(source.language, Language::C | Language::Cpp | Language::Python | Language::Perl);
            let called = call && known && !declares(source, at) && !defines(source, at);
            if called && !told && !is_own_name(source, at) {
                out.token(&rule::OLD_RESOLVER, at, Confidence::High, word);
            }
        }
        "gethostbyname2" if call && !declares(source, at) && !handled(source, line) => {
            out.token(&rule::OLD_RESOLVER, at, Confidence::High, word);
        }
        "ResolveIPAddr" if source.language == Language::Go => {
            let four = source.string(at + 2) == Some("ip4");
            if four && !handled(source, line) {
                out.token(&rule::OLD_RESOLVER, at, Confidence::High, "ResolveIPAddr(\"ip4\", ...)");
            }
        }
        "inet_addr" | "inet_aton" | "inet_ntoa" | "inet_network" | "inet_makeaddr" | "inet_netof"
        | "inet_lnaof" => {
            let foreign = matches!(source.language, Language::Go | Language::Java | Language::JavaScript);
            if call && !foreign && !declares(source, at) && !defines(source, at) && !is_own_name(source, at) {
                // An alternative to what does both.
                if !source.six_near(line, 12) {
                    let confidence = if handled(source, line) { Confidence::Low } else { Confidence::High };
                    out.token(&rule::OLD_CONVERSION, at, confidence, word);
                }
            }
        }
        "inet_pton" | "inet_ntop" if call && !declares(source, at) => {
            let four = (at + 2..at + 6).any(|at| matches!(source.get(at), "AF_INET" | "PF_INET"));
            if four && !handled(source, line) {
                out.token(&rule::OLD_CONVERSION, at, one_sided(source), &format!("{word}(AF_INET, ...)"));
            }
        }
        "h_errno" | "herror" | "hstrerror" if source.language.is_c() => {
            if !declares(source, at) && !defines(source, at) && !source.near(line, 5, 10, &["getaddrinfo"]) {
                out.token(&rule::OLD_RESOLVER, at, Confidence::Medium, word);
            } else if source.near(line, 20, 0, &["getaddrinfo"]) {
                out.token(&rule::EAI, at, Confidence::High, word);
            }
        }
        "getaddrinfo" if call && !declares(source, at) => {
            errors(source, at, out);
            first(source, at, out);
        }
        "AI_ADDRCONFIG" if !defines(source, at) => {
            let passive = source.around(at).any(|at| source.is(at, "AI_PASSIVE"));
            if passive {
                out.token(&rule::HINTS, at, Confidence::High, "AI_PASSIVE with AI_ADDRCONFIG");
            }
        }
        "AI_V4MAPPED" if source.language.is_c() && !defines(source, at) => {
            let unspecified = source.near(line, 8, 8, &["AF_UNSPEC", "PF_UNSPEC"]);
            if unspecified {
                out.token(&rule::HINTS, at, Confidence::Medium, "AI_V4MAPPED with AF_UNSPEC");
            }
        }
        "LookupHost" | "LookupIP" | "LookupNetIP" | "LookupIPAddr" if source.language == Language::Go => {
            go_first(source, at, out);
        }
        "to_socket_addrs" | "lookup_host" if source.language == Language::Rust => {
            let taken = (at + 2..at + 16)
                .take_while(|at| !source.is(*at, ";") && !source.is(*at, "{"))
                .any(|at| source.is(at, ".") && source.is(at + 1, "next") && source.is(at + 2, "("));
            if call && !source.is_before(at, "fn") && taken {
                out.token(&rule::FIRST_RESULT, at, Confidence::High, ".to_socket_addrs() ... .next()");
            }
        }
        "getAllByName" if source.language == Language::Java => {
            let close = source.partner(at + 1).unwrap_or(at);
            if source.is(close + 1, "[") && source.is(close + 2, "0") {
                out.token(&rule::FIRST_RESULT, at, Confidence::High, "getAllByName(...)[0]");
            }
        }
        "getByName" if source.language == Language::Java && source.is_before(at, ".") => {
            let class = at >= 2 && source.is(at - 2, "InetAddress");
            // Of a literal there is one result.
            if class && call && source.string(at + 2).is_none() {
                out.token(&rule::FIRST_RESULT, at, Confidence::Medium, "InetAddress.getByName");
            }
        }
        "lookup" if source.language == Language::JavaScript && call => {
            let dns = at >= 2 && source.is_before(at, ".") && source.get(at - 2).eq_ignore_ascii_case("dns");
            let all = source.arguments(at).is_some_and(|mut range| range.any(|at| source.is(at, "all")));
            if dns && !all {
                out.token(&rule::FIRST_RESULT, at, Confidence::Medium, "dns.lookup without all: true");
            }
        }
        _ => {}
    }
}

/// A prototype, a `fn`, a `def`: not a call.
fn declares(source: &Source<'_>, at: usize) -> bool {
    if ["fn", "def", "func", "function", "sub", "extern", "define", "undef"]
        .iter()
        .any(|word| source.is_before(at, word))
    {
        return true;
    }
    if !source.language.is_c() {
        return false;
    }
    // `int getaddrinfo (const char *...`: a type stands before a name that is declared.
    let pointer = source.is_before(at, "*") && at >= 2;
    let before = if pointer { at - 2 } else { at.saturating_sub(1) };
    let word = source.get(before);
    let declared = source.kind(before) == Some(crate::lexer::Kind::Word)
        && !matches!(word, "return" | "else" | "case" | "do" | "if" | "while")
        && source.line(before) + 1 >= source.line(at);
    declared
        && at > 0
        && source.arguments(at).is_some_and(|mut range| {
            range.any(|at| matches!(source.get(at), "const" | "struct" | "char" | "void" | "in_addr_t"))
        })
}

/// `resolver.gethostbyname(...)` of a library's own, which may know both families.
fn is_own_name(source: &Source<'_>, at: usize) -> bool {
    source.language == Language::Python
        && source.is_before(at, ".")
        && at >= 2
        && !matches!(source.get(at - 2), "socket" | "_socket")
}

fn errors(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    if !source.language.is_c() && source.language != Language::Rust {
        return;
    }
    let line = source.line(at);
    if let Some(close) = source.partner(at + 1) {
        let one = |at: usize| source.is(at, "1");
        let less = source.is(close + 1, "<") && source.is(close + 2, "0");
        let minus = source.is(close + 1, "=")
            && source.is(close + 2, "=")
            && source.is(close + 3, "-")
            && one(close + 4);
        if less || minus {
            out.token(
                &rule::EAI,
                at,
                Confidence::High,
                "the result of getaddrinfo compared with less than 0",
            );
            return;
        }
    }
    if source.near(line, 4, 14, &["gai_strerror", "EAI_SYSTEM"]) {
        return;
    }
    let mut next = at + 1;
    while next < source.len() && source.line(next) <= line + 8 && next - at < 2 * crate::source::REACH {
        if matches!(source.get(next), "strerror" | "perror" | "last_os_error" | "strerror_r") {
            out.token(&rule::EAI, next, Confidence::High, source.get(next));
            return;
        }
        // Another call that sets errno has come between.
        if matches!(source.get(next), "socket" | "bind" | "connect") && source.is(next + 1, "(") {
            return;
        }
        next += 1;
    }
}

/// One result of many: in C no loop over `ai_next`, in Python `[0]`.
fn first(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let line = source.line(at);
    match source.language {
        Language::C | Language::Cpp => {
            let one = source.near(line, 25, 10, &["AI_NUMERICHOST"]);
            let loops = source.near(line, 10, 90, &["ai_next"]);
            if !one && !loops {
                let confidence = if source.has("ai_next") { Confidence::Low } else { Confidence::Medium };
                out.token(&rule::FIRST_RESULT, at, confidence, "getaddrinfo without ai_next");
            }
        }
        Language::Python => {
            let Some(close) = source.partner(at + 1) else { return };
            let numeric = source.near(line, 2, 2, &["AI_NUMERICHOST"]);
            let direct = source.is(close + 1, "[") && source.is(close + 2, "0");
            if direct && !numeric {
                out.token(&rule::FIRST_RESULT, at, Confidence::High, "getaddrinfo(...)[0]");
            } else if !numeric && indexed_later(source, at, close) {
                out.token(&rule::FIRST_RESULT, at, Confidence::Medium, "getaddrinfo, then [0]");
            }
        }
        _ => {}
    }
}

/// `x = f(...)` and then `x[0]` within a few lines, without a loop over `x`.
fn indexed_later(source: &Source<'_>, at: usize, close: usize) -> bool {
    let mut name = at;
    while name > 0 && at - name < 8 && !source.is(name, "=") {
        name -= 1;
    }
    if !source.is(name, "=") || name == 0 {
        return false;
    }
    // Go's `:=`, and `addrs, err :=`.
    let mut before = name - 1;
    if source.is(before, ":") && before > 0 {
        before -= 1;
    }
    if source.is_before(before, ",") && before >= 2 {
        before -= 2;
    }
    let variable = source.get(before);
    let last = source.line(close) + 10;
    let mut indexed = false;
    let mut next = close;
    while next < source.len() && source.line(next) <= last && next - close < 3 * crate::source::REACH {
        if source.is(next, variable) && !variable.is_empty() {
            if source.is_before(next, "in") || source.is_before(next, "range") {
                return false;
            }
            indexed |= source.is(next + 1, "[") && source.is(next + 2, "0") && source.is(next + 3, "]");
            // next(iter(x))
            indexed |= next >= 4
                && source.is_before(next, "(")
                && source.is(next - 2, "iter")
                && source.is(next - 4, "next");
        }
        next += 1;
    }
    indexed
}

fn go_first(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let Some(close) = source.partner(at + 1) else { return };
    if source.is_before(at, ".") && at >= 3 {
        let receiver = at - 1;
        if indexed_later(source, receiver, close) {
            out.token(&rule::FIRST_RESULT, at, Confidence::High, "the first result only");
        }
    }
}
