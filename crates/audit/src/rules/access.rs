//! Who may, and who is counted: `acl-text`, `loopback-compare` by prefix, `peer-table`.

// ipv6-audit: allow-file loopback-compare because it looks for such comparisons
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, Language, words};

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    match source.get(at) {
        "startswith" | "startsWith" | "starts_with" | "HasPrefix" | "strncmp" | "hasPrefix" | "memcmp"
        | "strncasecmp" | "StartsWith" | "fnmatch" => prefix(source, at, out),
        "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" | "DashMap" | "Map" | "ConcurrentHashMap" | "Set"
        | "map" | "unordered_map" => {
            typed_table(source, at, out);
        }
        _ => {}
    }
}

/// `x.startswith("10.")`.
fn prefix(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let Some(arguments) = source.arguments(at) else { return };
    for at in arguments.start..arguments.end.min(arguments.start + 16) {
        let Some(text) = source.string(at) else { continue };
        if text.starts_with("127.") && is_prefix(text) {
            if !source.six_near(source.line(at), 4) {
                out.token(&rule::LOOPBACK_COMPARE, at, Confidence::High, text);
            }
            return;
        }
        if is_prefix(text) {
            out.token(&rule::ACL, at, Confidence::High, text);
            return;
        }
    }
}

/// `/^10\./.test(ip)`, `$peer =~ /^127\./`: the beginning of an address, as a pattern.
pub(crate) fn pattern(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    let Some(head) = text.strip_prefix('^').filter(|head| head.len() < 40) else { return };
    let head = head.replace(r"\.", ".");
    if !is_prefix(&head) || source.six_near(source.line(at), 4) {
        return;
    }
    let rule = if head.starts_with("127.") { &rule::LOOPBACK_COMPARE } else { &rule::ACL };
    out.token(rule, at, Confidence::High, text);
}

/// The beginning of an IPv4 address, to its dot: `10.`, `192.168.`, `10.*`; or of a private network without
/// it.
pub(crate) fn is_prefix(text: &str) -> bool {
    if matches!(text, "192.168" | "169.254" | "172.16") {
        return true;
    }
    let Some(head) = text.strip_suffix(['.', '*']) else { return false };
    let head = head.strip_suffix('.').unwrap_or(head);
    let parts = head.split('.').count();
    parts <= 3
        && head.split('.').all(|part| part.len() <= 3 && part.parse::<u8>().is_ok())
        // `1.`, `2.` begin versions and numbers of sections.
        && (parts > 1 || head.parse::<u8>().is_ok_and(|first| first == 10 || first > 99))
}

/// `HashMap<IpAddr, ...>`, `map[netip.Addr]...`, `Map<InetAddress, ...>`.
fn typed_table(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let opens = match source.language {
        Language::Go => source.is(at, "map") && source.is(at + 1, "["),
        Language::Rust | Language::Java | Language::Cpp | Language::JavaScript => source.is(at + 1, "<"),
        _ => false,
    };
    // What a function returns is nobody's table yet.
    if !opens || source.is_before(at, ">") {
        return;
    }
    let keyed = (at + 2..at + 7).take_while(|at| !matches!(source.get(*at), "," | ">" | "]")).any(|at| {
        matches!(
            source.get(at),
            "IpAddr"
                | "Ipv6Addr"
                | "SocketAddr"
                | "Addr"
                | "AddrPort"
                | "InetAddress"
                | "InetSocketAddress"
                | "in_addr"
                | "in6_addr"
        )
    });
    if keyed && !source.bounded {
        out.token(&rule::TABLE, at, Confidence::Medium, source.get(at));
    }
}

/// `seen[peer_ip] = ...`, `hits[req.ip]++`.
pub(crate) fn mark(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    if !source.is(at, "[")
        || at == 0
        || !matches!(source.language, Language::Python | Language::JavaScript | Language::Go)
    {
        return;
    }
    // An index, not a list.
    if source.kind(at - 1) != Some(Kind::Word) || matches!(source.get(at - 1), "return" | "in" | "map" | "of")
    {
        return;
    }
    let Some(close) = source.partner(at).filter(|close| close - at <= 8) else { return };
    let keyed = (at + 1..close).any(|at| is_peer(source.get(at)));
    let written = (source.is(close + 1, "=") && !source.is(close + 2, "="))
        || (matches!(source.get(close + 1), "+" | "-") && matches!(source.get(close + 2), "=" | "+"))
        || (source.is(close + 1, ".") && matches!(source.get(close + 2), "append" | "push" | "add"));
    if keyed && written && !source.bounded {
        out.token(&rule::TABLE, at, Confidence::Medium, source.get(at - 1));
    }
}

/// The name of an address that a stranger brings.
fn is_peer(word: &str) -> bool {
    let whole = matches!(
        word,
        "ip" | "client_ip"
            | "clientIP"
            | "clientIp"
            | "remote_ip"
            | "remoteIP"
            | "remoteIp"
            | "remote_addr"
            | "remoteAddr"
            | "remoteAddress"
            | "RemoteAddr"
            | "peer_ip"
            | "peerIP"
            | "peer_addr"
            | "client_addr"
            | "client_address"
            | "src_ip"
            | "srcIP"
            | "source_ip"
    );
    whole || word.ends_with("_ip") && words::is_ip(word)
}
