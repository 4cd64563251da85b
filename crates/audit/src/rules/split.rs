//! Address and port taken apart at a colon: `colon-split`; four numbers taken apart at their dots:
//! `uint32-address`, `ipv4-pattern`.

use crate::finding::Collector;
use crate::lexer::Kind;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, words};

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let last = match word {
        "strchr" | "strtok" | "strtok_r" | "strsep" | "memchr" | "index" | "find_first_of" | "split"
        | "split_once" | "splitn" | "find" | "partition" | "indexOf" | "Split" | "SplitN" | "Index"
        | "IndexByte" | "Cut" | "StringTokenizer" | "strcspn" => false,
        "strrchr" | "rindex" | "find_last_of" | "rsplit" | "rsplit_once" | "rsplitn" | "rfind"
        | "rpartition" | "lastIndexOf" | "LastIndex" | "LastIndexByte" | "memrchr" => true,
        _ => return,
    };
    let Some(arguments) = source.arguments(at) else { return };
    let short = arguments.start..arguments.end.min(arguments.start + 16);
    let separator = short.clone().filter_map(|at| source.string(at)).next_back();
    match separator {
        Some(":") => colon(source, at, short, last, out),
        Some("." | "\\." | "\\\\.") if !last => dots(source, at, short, out),
        _ => {}
    }
}

/// The receiver and the arguments of a call.
fn concerns(
    source: &Source<'_>,
    at: usize,
    arguments: &std::ops::Range<usize>,
    is: fn(&str) -> bool,
) -> bool {
    let receiver = at.saturating_sub(6)..at;
    receiver
        .rev()
        .take_while(|at| {
            source.line(*at) + 1 >= source.line(arguments.start)
                && !source.is(*at, ";")
                && !source.is(*at, "{")
                && !source.is(*at, "=")
        })
        .chain(arguments.clone())
        .any(|at| source.kind(at) == Some(Kind::Word) && is(source.get(at)))
}

pub(super) fn colon(
    source: &Source<'_>,
    at: usize,
    arguments: std::ops::Range<usize>,
    last: bool,
    out: &mut Collector<'_, '_>,
) {
    let line = source.line(at);
    if source.bracket_asked_for(line) || source.six_near(line, 6) {
        return;
    }
    let direct = concerns(source, at, &arguments, words::is_address);
    let is_port = |at: usize| source.kind(at) == Some(Kind::Word) && words::is_port(source.get(at));
    // `host, port = x.split(":")`: what it becomes says what it was.
    let becomes = source.within(at, 0, 5).any(is_port);
    // `x.find(":") == x.rfind(":")`: exactly one colon, so no IPv6 address.
    let counted = source.within(at, 1, 1).fold((false, false), |(first, last), at| {
        (first || source.is(at, "find"), last || source.is(at, "rfind"))
    });
    if counted == (true, true) {
        return;
    }
    let other = concerns(source, at, &arguments, is_other);
    if other || !(direct || becomes) {
        return;
    }
    let confidence = match (direct, becomes, last) {
        (true, true, false) => Confidence::High,
        (true, true, true) | (false, true, false) | (true, false, false) => Confidence::Medium,
        _ => Confidence::Low,
    };
    out.token(&rule::SPLIT, at, confidence, &format!("{}(... \":\")", source.get(at)));
}

/// How patterns write a host before its port.
const HOSTS: [&str; 10] = [
    "([^:]+):",
    "([^:]*):",
    "(.+):",
    "(.*):",
    "(.+?):",
    "(.*?):",
    r"(\S+):",
    r"(\S+?):",
    r"([\w.-]+):",
    r"([\w\.-]+):",
];
/// And a port behind it.
const PORTS: [&str; 6] = [r"(\d+)", r"(\\d+)", "([0-9]+)", r"(\d*)", r"(\d{1,5})", "([0-9]*)"];

/// `^([^:]+):(\d+)$`, `^(.*):(\d+)$`: address and port taken apart by a pattern.
pub(crate) fn pattern(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if text.len() < 8 || text.len() > 80 || text.contains(r"\[") {
        return;
    }
    let apart = HOSTS.iter().any(|host| {
        text.split_once(host).is_some_and(|(_, rest)| PORTS.iter().any(|port| rest.starts_with(port)))
    });
    let line = source.line(at);
    if !apart || source.six_near(line, 6) || source.bracket_asked_for(line) {
        return;
    }
    let near = source.within(at, 2, 5);
    let word = |at: &usize| source.kind(*at) == Some(Kind::Word);
    // What it becomes says what it was: a file and its line look alike.
    let named = near.clone().filter(word).any(|at| words::is_port(source.get(at)))
        || near.clone().filter(word).any(|at| words::is_address(source.get(at)));
    let other = source.on_line(at).filter(word).any(|at| is_other(source.get(at)));
    if named && !other {
        out.token(&rule::SPLIT, at, Confidence::Medium, text);
    }
}

/// Other texts with colons: hardware addresses, times, headers, paths.
fn is_other(word: &str) -> bool {
    words::each(word, |word| {
        matches!(
            word,
            "mac"
                | "hwaddr"
                | "time"
                | "hour"
                | "header"
                | "headers"
                | "path"
                | "line"
                | "scheme"
                | "ether"
                | "user"
                | "userinfo"
                | "auth"
                | "cred"
                | "credentials"
                | "range"
                | "image"
                | "key"
                | "cookie"
                | "style"
                | "env"
                | "volume"
                | "digest"
                | "tag"
                | "data"
        )
    })
}

/// `ip.split(".")`, and then four of them, or shifts.
pub(super) fn dots(
    source: &Source<'_>,
    at: usize,
    arguments: std::ops::Range<usize>,
    out: &mut Collector<'_, '_>,
) {
    let line = source.line(at);
    if !concerns(source, at, &arguments, words::is_ip_or_address) || source.six_near(line, 12) {
        return;
    }
    let mut shifts = false;
    let mut ranges = false;
    for next in source.within(at, 1, 12) {
        match source.get(next) {
            "24" | "16777216" | "256" => shifts = true,
            "255" | "4" | "3" => ranges = true,
            _ => {}
        }
    }
    if shifts {
        out.token(&rule::UINT32, at, Confidence::High, "four numbers made one");
    } else if ranges {
        out.token(&rule::PATTERN, at, Confidence::Medium, "four numbers, each checked");
    }
}
