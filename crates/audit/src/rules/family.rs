//! Families named one by one: `explicit-family`, `sockaddr-in`, `ipv4-option`, `old-interfaces`.

// ipv6-audit: allow-file old-interfaces because it looks for these paths
use crate::finding::Collector;
use crate::rule;
use crate::source::{REACH, Source};
use crate::{Confidence, Language, words};

/// Lines within which the other family counts as handled.
const NEAR: u32 = 30;

/// Whether IPv6 is handled so near to a line that the place is not one-sided.
pub(crate) fn handled(source: &Source<'_>, line: u32) -> bool {
    source.six_near(line, NEAR)
}

/// The confidence of a one-sided place: what the file says of IPv6 elsewhere makes it less certain.
pub(crate) fn one_sided(source: &Source<'_>) -> Confidence {
    if source.six_at_all() { Confidence::Medium } else { Confidence::High }
}

/// Whether the token is compared, a `case`, or a key: a branch rather than a choice.
fn is_branch(source: &Source<'_>, at: usize) -> bool {
    let before = at.saturating_sub(4)..at;
    let compared = |at: usize| source.is(at, "=") && (source.is_before(at, "=") || source.is_before(at, "!"));
    before.clone().any(|at| compared(at) || source.is(at, "case") || source.is(at, "is"))
        || (source.is(at + 1, "=") && source.is(at + 2, "="))
        || source.is(at + 1, ":")
        || (source.is(at + 1, "!") && source.is(at + 2, "="))
}

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let line = source.line(at);
    // The other family's twin is in a file of its own.
    if source.of_four {
        return;
    }
    match word {
        "AF_INET" | "PF_INET" => {
            if defines(source, at)
                || converts(source, at)
                || handled(source, line)
                || in_function_of_four(source, at)
            {
                return;
            }
            if is_branch(source, at) && source.six_at_all() {
                return;
            }
            // A socket to ask the kernel with is no socket to talk with.
            let ioctl = source.within(at, 0, 8).any(|at| source.get(at).starts_with("SIOC"));
            let confidence = if ioctl { Confidence::Low } else { one_sided(source) };
            out.token(&rule::EXPLICIT_FAMILY, at, confidence, word);
        }
        "socket" if source.language == Language::Python => {
            // Without arguments it is AF_INET.
            let made = source.is_before(at, ".") && source.is(at + 1, "(") && source.is(at + 2, ")");
            if made && at >= 2 && source.is(at - 2, "socket") && !handled(source, line) {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), "socket.socket() is AF_INET");
            }
        }
        "Inet4Address" | "IPv4Address" => {
            let python = source.language == Language::Python;
            let called = python && source.is(at + 1, "(") && !source.is_before(at, "class");
            if source.language == Language::Java || called {
                let import = source.on_line(at).any(|at| source.is(at, "import"));
                if !import && !handled(source, line) {
                    out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), word);
                }
            }
        }
        "Ipv4Addr" | "SocketAddrV4" if source.language == Language::Rust => rust(source, at, out),
        "UNSPECIFIED" | "LOCALHOST" if source.language == Language::Rust => {
            // A record of DNS or a placeholder is no address to listen on.
            let used = source.on_line(at).any(|at| {
                matches!(
                    source.get(at),
                    "bind"
                        | "connect"
                        | "listen"
                        | "serve"
                        | "SocketAddr"
                        | "SocketAddrV4"
                        | "connect_timeout"
                )
            });
            let four = at >= 3 && source.is_before(at, ":") && source.is(at - 3, "Ipv4Addr");
            if four && used && !handled(source, line) && !in_function_of_four(source, at) {
                let rule = if word == "LOCALHOST" { &rule::LOOPBACK } else { &rule::BIND_ANY };
                out.token(rule, at, one_sided(source), &format!("Ipv4Addr::{word}"));
            }
        }
        "from" | "new" if source.language == Language::Rust => octets(source, at, out),
        "IPV4" if source.language == Language::Rust => {
            let domain = source.is_before(at, ":") && at >= 3 && source.is(at - 3, "Domain");
            if domain && !handled(source, line) && !in_function_of_four(source, at) {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), "Domain::IPV4");
            }
        }
        "To4" if source.language == Language::Go => {
            // `x := ip.To4()` with nothing said of what is not IPv4; `ip.To4() == nil` asks which family it
            // is.
            let asks = source.within(at, 0, 3).any(|at| source.is(at, "nil")) && !only_four(source, at);
            if source.is_before(at, ".")
                && !asks
                && !handled(source, line)
                && !in_function_of_four(source, at)
            {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), "To4() without the other case");
            }
        }
        "isIPv4" | "resolve4" if source.language == Language::JavaScript => {
            // `if (isIPv4(x)) ... else`: which of them is it; `!isIPv4(x)`: refused.
            let refuses = word == "resolve4"
                || (at.saturating_sub(3)..at).any(|at| source.is(at, "!") || source.is(at, "return"));
            if source.is(at + 1, "(") && refuses && !handled(source, line) {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), word);
            }
        }
        "family"
            if source.language == Language::JavaScript
                && (source.is(at + 1, ":") && source.is(at + 2, "4"))
                && !handled(source, line) =>
        {
            out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), "family: 4");
        }
        "sockaddr_in" if source.language.is_c() || source.language == Language::Rust => {
            sockaddr(source, at, out);
        }
        "IP_ADD_MEMBERSHIP" | "IP_MULTICAST_IF" | "IP_MULTICAST_TTL" | "IP_MULTICAST_LOOP" | "IP_TOS"
        | "IP_TTL" | "IP_PKTINFO" | "IP_RECVDSTADDR" => {
            let elsewhere = source.language == Language::JavaScript || in_function_of_four(source, at);
            if !defines(source, at) && !handled(source, line) && !elsewhere {
                out.token(&rule::SOCKET_OPTION, at, one_sided(source), word);
            }
        }
        "join_multicast_v4" | "set_multicast_ttl_v4" | "set_multicast_if_v4"
            if source.language == Language::Rust =>
        {
            let declared = source.is_before(at, "fn");
            if !declared && !handled(source, line) {
                out.token(&rule::SOCKET_OPTION, at, one_sided(source), word);
            }
        }
        "SIOCGIFCONF" | "SIOCGIFADDR" | "SIOCGIFNETMASK" | "SIOCGIFBRDADDR" => {
            let defined = defines(source, at);
            if !defined && !source.six_near(line, 60) {
                out.token(&rule::OLD_INTERFACES, at, one_sided(source), word);
            }
        }
        _ => {}
    }
}

/// `if ip.To4() != nil { ... }` with no `else`, where nothing speaks of IPv6: what is not IPv4 is passed over.
fn only_four(source: &Source<'_>, at: usize) -> bool {
    let tested = source.is(at + 3, "!") && source.is(at + 4, "=") && source.is(at + 5, "nil");
    let body = (at + 6..at + 9).find(|at| source.is(*at, "{")).and_then(|open| source.partner(open));
    tested && !source.six_at_all() && body.is_some_and(|close| !source.is(close + 1, "else"))
}

/// Whether the function around a token says in its name that IPv4 is its trade: its twin is another function.
pub(crate) fn in_function_of_four(source: &Source<'_>, at: usize) -> bool {
    let begin =
        (at.saturating_sub(2 * REACH)..at).rev().find(|at| matches!(source.get(*at), "fn" | "func" | "def"));
    begin.is_some_and(|begin| {
        (begin + 1..begin + 8)
            .take_while(|next| !source.is(*next, "{"))
            .any(|next| words::speaks_of_four(source.get(next)))
    })
}

pub(crate) fn text(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    let line = source.line(at);
    match text {
        "tcp4" | "udp4" | "ip4" => {
            let go =
                source.language == Language::Go && (source.is_before(at, "(") || source.is_before(at, ","));
            let js = source.language == Language::JavaScript && text == "udp4";
            if (go || js) && !is_branch(source, at) && !handled(source, line) {
                out.token(&rule::EXPLICIT_FAMILY, at, one_sided(source), text);
            }
        }
        // `interface.family === 'IPv4'`: the other addresses are passed over.
        "IPv4" if source.language == Language::JavaScript => {
            let asked = (at.saturating_sub(5)..at).any(|at| source.is(at, "family"))
                && source.is_before(at, "=")
                && at >= 3
                && !source.is(at - 3, "!");
            if asked && !source.six_at_all() {
                out.token(&rule::EXPLICIT_FAMILY, at, Confidence::Medium, "family === 'IPv4'");
            }
        }
        "AF_INET" if source.language == Language::Python => {
            let chosen = ["=", "return", "["].iter().any(|before| source.is_before(at, before));
            let compared = at >= 2 && matches!(source.get(at - 2), "=" | "!");
            if chosen && !compared && !handled(source, line) {
                out.token(&rule::EXPLICIT_FAMILY, at, Confidence::Medium, text);
            }
        }
        "/proc/net/tcp" | "/proc/net/udp" | "/proc/net/raw" | "/proc/net/route" | "/proc/net/arp" => {
            let twin = source.six_near(line, 60);
            if !twin {
                out.token(&rule::OLD_INTERFACES, at, one_sided(source), text);
            }
        }
        _ => {}
    }
}

/// `#define AF_INET`, `AF_INET = 2`, `const AF_INET: ...`: a constant's home, not its use. A list of names is
/// one too.
pub(crate) fn defines(source: &Source<'_>, at: usize) -> bool {
    source.is_before(at, "define")
        || source.is_before(at, "const")
        || source.is_before(at, "ifdef")
        || source.is_before(at, "defined")
        || (source.is(at + 1, "=")
            && !source.is(at + 2, "=")
            && !source.is_before(at, ",")
            && !source.is_before(at, "("))
        || (at >= 2 && source.is_before(at, "(") && source.is(at - 2, "defined"))
        || source.on_line(at).take(3).any(|at| source.is(at, "import") || source.is(at, "use"))
}

/// An argument of `inet_pton` or `inet_ntop`: those are reported by `old-conversion`.
fn converts(source: &Source<'_>, at: usize) -> bool {
    (at.saturating_sub(6)..at).any(|at| matches!(source.get(at), "inet_pton" | "inet_ntop"))
}

fn sockaddr(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let line = source.line(at);
    let defined = source.is_before(at, "struct") && (source.is(at + 1, "{") || source.is(at + 1, ";"));
    if defined || handled(source, line) {
        return;
    }
    // A cast or a size, of an address whose family is asked elsewhere.
    let cast = source.is(at + 1, "*") && source.is(at + 2, ")");
    if cast && source.six_at_all() {
        return;
    }
    let used = source.on_line(at).take(3).any(|at| source.is(at, "use") || source.is(at, "typedef"));
    if !used {
        out.token(&rule::SOCKADDR_IN, at, one_sided(source), "sockaddr_in");
    }
}

/// `SocketAddr::from(([127, 0, 0, 1], port))`, `Ipv4Addr::new(0, 0, 0, 0)`.
fn octets(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let of = at.checked_sub(3).map_or("", |at| source.get(at));
    let first = match of {
        "SocketAddr" => at + 4,
        "IpAddr" if source.is(at, "from") => at + 3,
        "Ipv4Addr" if source.is(at, "new") => at + 2,
        "Ipv4Addr" => at + 3,
        _ => return,
    };
    let number = |at: usize| source.get(at).parse::<u8>().ok();
    let [Some(a), Some(b), Some(c), Some(d)] = [0, 2, 4, 6].map(|after| number(first + after)) else {
        return;
    };
    if source.six_near(source.line(at), 10) {
        return;
    }
    let rule = match [a, b, c, d] {
        [0, 0, 0, 0] => &rule::BIND_ANY,
        [127, ..] => &rule::LOOPBACK,
        _ => return,
    };
    out.token(rule, at, one_sided(source), &format!("{a}.{b}.{c}.{d}"));
}

/// `Ipv4Addr` where no type that holds either family is in the file.
fn rust(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let import = source.on_line(at).take(6).any(|at| source.is(at, "use"));
    let both = ["IpAddr", "SocketAddr", "ToSocketAddrs", "Endpoint"].iter().any(|word| source.has(word));
    // `fn f(ip: Ipv4Addr)`: whoever calls it can have no other.
    let asked_for = source.is_before(at, ":")
        && (at.saturating_sub(24)..at)
            .rev()
            .take_while(|at| !source.is(*at, ";"))
            .any(|at| source.is(at, "fn"));
    if import || both && !asked_for || source.six_at_all() || in_function_of_four(source, at) {
        return;
    }
    // One place tells as much as ten.
    if out.findings.iter().rev().take(64).any(|found| found.rule.id == rule::EXPLICIT_FAMILY.id) {
        return;
    }
    out.token(&rule::EXPLICIT_FAMILY, at, Confidence::Medium, source.get(at));
}
