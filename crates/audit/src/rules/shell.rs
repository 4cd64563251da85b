//! Shell: commands that do IPv4 only, addresses, `${x%%:*}`.

// ipv6-audit: allow-file loopback-compare because it looks for such comparisons
use super::family::one_sided;
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::literal::{self, Purpose};
use crate::rule;
use crate::source::Source;
use crate::{Confidence, words};

pub(crate) fn run(source: &Source<'_>, out: &mut Collector<'_, '_>) {
    let mut command = true;
    // The command of this line.
    let mut verb = "";
    for at in 0..source.len() {
        let text = source.get(at);
        match source.kind(at) {
            Some(Kind::Mark) => {
                command = matches!(text, "\n" | ";" | "|" | "&" | "(" | "`");
                if text == "\n" {
                    verb = "";
                }
            }
            Some(Kind::Word) => {
                if command && !is_prelude(text) {
                    verb = text.rsplit('/').next().unwrap_or(text);
                    tool(source, at, verb, out);
                    command = false;
                }
                super::family::text(source, at, out);
                pattern(source, at, text, out);
                literals(source, at, verb, out);
                expansion(source, at, text, out);
            }
            Some(Kind::Text) => {
                command = false;
                literals(source, at, verb, out);
                super::patterns::text(source, at, out);
                expansion(source, at, text, out);
            }
            _ => command = false,
        }
    }
}

/// Words after which a command follows yet.
fn is_prelude(word: &str) -> bool {
    matches!(
        word,
        "if" | "then"
            | "else"
            | "elif"
            | "do"
            | "while"
            | "until"
            | "!"
            | "{"
            | "sudo"
            | "exec"
            | "command"
            | "time"
            | "nohup"
            | "env"
            | "case"
    ) || (word.contains('=') && !word.starts_with('-'))
        || word.starts_with("$(")
}

fn tool(source: &Source<'_>, at: usize, verb: &str, out: &mut Collector<'_, '_>) {
    // Words of the same command.
    let has = |words: &[&str]| {
        (at + 1..(at + 12).min(source.len()))
            .take_while(|at| !matches!(source.get(*at), "\n" | ";" | "|" | "&"))
            .any(|at| words.contains(&source.get(at)))
    };
    let bare = matches!(source.get(at + 1), "\n" | ";" | ")" | "") || source.get(at + 1).starts_with('(');
    let found = match verb {
        "iptables" | "iptables-save" | "iptables-restore" => {
            !source.has("ip6tables") && !source.has("nft") && !source.six_at_all()
        }
        "ifconfig" => !source.has("ip") && !has(&["inet6"]),
        "route" => !source.has("ip") && !has(&["-6", "inet6", "-A"]) && !bare,
        "arp" => !source.has("ip"),
        "netstat" => has(&["-rn", "-r", "-nr"]) && !has(&["-6", "inet6"]) && !source.has("ip"),
        "hostname" => has(&["-i"]),
        "ping" => has(&["-4"]) && !source.six_near(source.line(at), 10),
        "ip" => (has(&["-4"]) || is_table_of_four(source, at)) && !source.six_at_all(),
        "curl" | "wget" | "ssh" | "nc" => {
            (has(&["-4"]) || has(&["--ipv4"])) && !source.six_near(source.line(at), 30)
        }
        _ => false,
    };
    if found {
        let confidence =
            if matches!(verb, "iptables" | "ip") { Confidence::High } else { Confidence::Medium };
        out.token(&rule::TOOL, at, confidence, source.line_text(source.line(at)));
    }
}

/// `ip route`, `ip route show`, `ip r get`: without a family that is IPv4's table alone, unlike `ip address`.
fn is_table_of_four(source: &Source<'_>, at: usize) -> bool {
    let shows =
        matches!(source.get(at + 2), "show" | "list" | "ls" | "get" | "\n" | "|" | ";" | ")" | ">" | "");
    matches!(source.get(at + 1), "route" | "ro" | "r") && shows
}

fn literals(source: &Source<'_>, at: usize, verb: &str, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if text.len() < 7 || text.len() > 400 || !text.contains('.') {
        return;
    }
    let line = source.line(at);
    for found in literal::find(text) {
        let prose = text.split_whitespace().count() > 4
            || matches!(verb, "echo" | "printf" | "log" | "die" | "usage");
        let (rule, confidence) = match found.purpose() {
            _ if prose => continue,
            Purpose::Example | Purpose::Mask => continue,
            Purpose::Any if text[found.end..].starts_with("/0") => continue,
            Purpose::Any => (&rule::BIND_ANY, Confidence::Medium),
            Purpose::Loopback if matches!(verb, "[" | "[[" | "test" | "grep" | "case") => {
                (&rule::LOOPBACK_COMPARE, Confidence::Medium)
            }
            Purpose::Loopback => (&rule::LOOPBACK, Confidence::High),
            Purpose::Resolver
                if matches!(verb, "ping" | "nc" | "curl" | "wget" | "telnet" | "dig" | "host") =>
            {
                (&rule::ONLINE, Confidence::High)
            }
            Purpose::Other
                if found.is_versionlike() || words::is_version(text) || named_version(source, at) =>
            {
                continue;
            }
            Purpose::Resolver | Purpose::Other => (&rule::LITERAL, Confidence::Medium),
        };
        // 0.0.0.0/0 beside ::/0, and whatever has its twin close by.
        if !source.six_near(line, 4) {
            out.token(rule, at, confidence, text);
            return;
        }
    }
}

fn named_version(source: &Source<'_>, at: usize) -> bool {
    source.on_line(at).any(|at| words::is_version(source.get(at)))
}

/// `case $peer in 10.*)`.
fn pattern(source: &Source<'_>, at: usize, text: &str, out: &mut Collector<'_, '_>) {
    let branch = matches!(source.get(at + 1), ")" | "|");
    if branch && super::access::is_prefix(text) && !source.six_near(source.line(at), 3) {
        let rule = if text.starts_with("127.") { &rule::LOOPBACK_COMPARE } else { &rule::ACL };
        out.token(rule, at, Confidence::High, text);
    }
}

/// `${address%%:*}`, `${hostport#*:}`, `cut -d: -f1` of what is named an address.
fn expansion(source: &Source<'_>, at: usize, text: &str, out: &mut Collector<'_, '_>) {
    let line = source.line(at);
    if let Some(inner) = text.find("${").and_then(|at| text.get(at + 2..)) {
        let name =
            inner.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or("");
        let operator = inner.get(name.len()..).unwrap_or("");
        let first = operator.starts_with("%%:*") || operator.starts_with("#*:");
        if first && words::is_address(name) && !source.bracketed_near(line) && !source.six_near(line, 6) {
            out.token(&rule::SPLIT, at, Confidence::High, text);
        }
    }
    let cut = source.is_before(at, "cut") && matches!(text, "-d:" | "-d");
    if cut {
        let separated = text == "-d:" || source.get(at + 1) == ":";
        let named = source.on_line(at).any(|at| {
            let word = source.get(at).trim_start_matches(['$', '{']);
            words::is_address(word)
        });
        if separated && named && !source.six_near(line, 6) {
            out.token(&rule::SPLIT, at, one_sided(source).min(Confidence::Medium), "cut -d:");
        }
    }
}
