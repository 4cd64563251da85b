//! Address and port put together: `colon-join`, `url-join`.

use crate::finding::Collector;
use crate::lexer::Kind;
use crate::rule;
use crate::source::{REACH, Source};
use crate::{Confidence, Language, words};

pub(crate) fn text(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if text.len() > 400 || source.bracketed_near(source.line(at)) {
        return;
    }
    if text == ":" {
        concatenation(source, at, out);
        return;
    }
    let dollars = source.language == Language::Perl;
    let Some((colon, url)) = joint(text, dollars) else {
        url_prefix(source, at, text, out);
        return;
    };
    // `{host}:{port}:{kind}`: a key of more than an address.
    let longer = text[colon + 1..].contains([':']) && text.matches(['}', '$']).count() > 2;
    if longer && !url || is_key(source, at) {
        return;
    }
    let before = placeholder_before(text, colon, dollars);
    let after = placeholder_after(text, colon + 1, dollars);
    // user:password@
    let user = text[colon..].contains('@');
    let named = match (before, after) {
        _ if user => false,
        // f"{host}:{port}": the names say it.
        (Some(host), Some(port))
            if port.chars().any(char::is_alphabetic) && host.chars().any(char::is_alphabetic) =>
        {
            words::is_port(port) && (words::is_address(host) || matches!(host, "h"))
        }
        (Some(_), Some(_)) => arguments_name_a_port(source, at) || pair_is_an_address(source, at),
        _ => false,
    };
    if !named && !url {
        return;
    }
    if url && named {
        out.token(&rule::URL, at, Confidence::High, text);
    } else if named {
        // A message for people is not parsed again, as a rule.
        let prose = text.split_whitespace().count() > 3;
        out.token(&rule::JOIN, at, if prose { Confidence::Low } else { Confidence::High }, text);
    }
}

/// The colon between two placeholders, and whether a URL's scheme stands before them.
fn joint(text: &str, dollars: bool) -> Option<(usize, bool)> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find(':') {
        let colon = from + at;
        let placeholders =
            (placeholder_before(text, colon, dollars), placeholder_after(text, colon + 1, dollars));
        if let (Some(_), Some(_)) = placeholders {
            let url = text[..colon].contains("://");
            return Some((colon, url));
        }
        from = colon + 1;
    }
    None
}

/// What a placeholder that ends at `end` names: `%s`, `{}`, `{host}`, `${host}`, `%(host)s`; with `dollars` `$host`, too.
fn placeholder_before(text: &str, end: usize, dollars: bool) -> Option<&str> {
    let head = &text[..end];
    if dollars && let Some((_, name)) = head.rsplit_once('$').filter(|(_, name)| is_name(name)) {
        return Some(name);
    }
    if head.ends_with("%s") || head.ends_with("%v") || head.ends_with("%S") {
        return Some("");
    }
    if let Some(inner) = head.strip_suffix('}') {
        let open = inner.rfind('{')?;
        // Already in brackets, or a conversion that is not `Display`.
        return (!inner[..open].ends_with('[')).then_some(&inner[open + 1..]);
    }
    if let Some(inner) = head.strip_suffix(")s") {
        return inner.rfind("%(").map(|open| &inner[open + 2..]);
    }
    None
}

/// A variable's name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

fn placeholder_after(text: &str, start: usize, dollars: bool) -> Option<&str> {
    let tail = text.get(start..)?;
    if dollars && let Some(rest) = tail.strip_prefix('$') {
        let name = rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next();
        if let Some(name) = name.filter(|name| is_name(name)) {
            return Some(name);
        }
    }
    if let Some(rest) = tail.strip_prefix('%') {
        let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || "hlz-".contains(letter));
        if let Some(inner) = rest.strip_prefix('(') {
            return inner.split_once(')').map(|(name, _)| name);
        }
        return rest.starts_with(['d', 'u', 's', 'i', 'v']).then_some("");
    }
    let tail = tail.strip_prefix('$').unwrap_or(tail);
    tail.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(name, _)| name)
}

/// Whether what follows the format, within the call, names a port.
fn arguments_name_a_port(source: &Source<'_>, at: usize) -> bool {
    let mut depth = 0_i32;
    for next in at + 1..(at + REACH).min(source.len()) {
        if source.line(next) > source.line(at) + 6 {
            return false;
        }
        match (source.kind(next), source.get(next)) {
            (Some(Kind::Mark), "(") => depth += 1,
            (Some(Kind::Mark), ")") => {
                depth -= 1;
                // `"..." % (host, port)` and `"...".format(host, port)` end here.
                let goes_on = matches!(source.get(next + 1), "," | "%" | "." | ")");
                if depth < 0 && source.language != Language::Python
                    || depth < -1
                    || (depth == 0 && !goes_on && source.language == Language::Python)
                {
                    return false;
                }
            }
            (Some(Kind::Mark), ";" | "{") => return false,
            (Some(Kind::Word), word) if is_port_value(word) => return true,
            (Some(Kind::Text), name) if name.len() < 20 && words::is_port(name) => return true,
            _ => {}
        }
    }
    false
}

/// `"%s:%d" % self.addr`.
fn pair_is_an_address(source: &Source<'_>, at: usize) -> bool {
    source.language == Language::Python
        && source.is(at + 1, "%")
        && !source.is(at + 2, "(")
        && (at + 2..at + 6).take_while(|next| source.line(*next) == source.line(at)).any(|at| {
            matches!(
                source.get(at),
                "addr"
                    | "address"
                    | "client_address"
                    | "server_address"
                    | "peer"
                    | "getpeername"
                    | "getsockname"
            )
        })
}

fn is_port_value(word: &str) -> bool {
    words::is_port(word) || matches!(word, "ntohs" | "sin_port" | "getPort")
}

/// Whether what is made is a key to look something up by, which nobody takes apart.
fn is_key(source: &Source<'_>, at: usize) -> bool {
    let word = |at: &usize| source.kind(*at) == Some(Kind::Word);
    source.within(at, 2, 0).filter(word).any(|at| words::each(source.get(at), |word| word == "key"))
}

/// `url.getHost() + ":" + url.getPort()`: Java's URLs keep their brackets.
fn is_of_url(source: &Source<'_>, at: usize) -> bool {
    let of = |name: &str, range: std::ops::Range<usize>| {
        range.filter(|at| source.is(*at, name) && source.is_before(*at, ".")).find_map(|at| at.checked_sub(2))
    };
    let host = of("getHost", at.saturating_sub(8)..at);
    let port = of("getPort", at..at + 8);
    source.language == Language::Java
        && host.zip(port).is_some_and(|(host, port)| source.get(host) == source.get(port))
}

/// `host + ":" + port`.
fn concatenation(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let plus = |at: usize| source.is(at, "+") || source.is(at, "<") || source.is(at, ",");
    let listed = source.is_before(at, ",") && source.is(at + 1, ",");
    // `url += ":" + port`.
    let added = source.is_before(at, "=") && at >= 2 && source.is(at - 2, "+") && source.is(at + 1, "+");
    let joined = listed
        || added
        || source.is_before(at, "+") && source.is(at + 1, "+")
        || source.is_before(at, "<") && source.is(at + 1, "<");
    if !joined || !plus(at + 1) || is_key(source, at) || is_of_url(source, at) {
        return;
    }
    // Three colons and more put together more than an address.
    if source.around(at).filter(|at| source.string(*at).is_some_and(|text| text.ends_with(':'))).count() > 2 {
        return;
    }
    let after = (at + 2..at + 10).take_while(|at| {
        !source.is(*at, ";")
            && !source.is(*at, "+")
            && source.line(*at) <= source.line(at.saturating_sub(1)) + 1
    });
    let port =
        after.into_iter().any(|at| source.kind(at) != Some(Kind::Mark) && words::is_port(source.get(at)));
    if port {
        let url = source.on_line(at).any(|at| source.string(at).is_some_and(|text| text.ends_with("://")));
        let rule = if url { &rule::URL } else { &rule::JOIN };
        out.token(rule, at, Confidence::High, "+ \":\" +");
    }
}

/// `"http://" + ip`, `"http://%s/"` where what is put in is named an address.
fn url_prefix(source: &Source<'_>, at: usize, text: &str, out: &mut Collector<'_, '_>) {
    let Some((scheme, rest)) = text.split_once("://") else { return };
    if scheme.is_empty()
        || !scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+{}$".contains(letter))
    {
        return;
    }
    let named = if rest.is_empty() {
        source.is(at + 1, "+") && words::is_ip(source.get(at + 2))
    } else if let Some(inner) = rest.strip_prefix("${").or_else(|| rest.strip_prefix('{')) {
        inner.split_once('}').is_some_and(|(name, _)| words::is_ip(name))
    } else if rest.starts_with("%s") {
        let words = at + 1..at + 8;
        words.into_iter().any(|at| source.kind(at) == Some(Kind::Word) && words::is_ip(source.get(at)))
    } else {
        false
    };
    if named {
        out.token(&rule::URL, at, Confidence::Medium, text);
    }
}
