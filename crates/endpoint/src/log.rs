//! Finding endpoints in log lines.

/// A regular expression that finds each endpoint in a log line that this crate's types wrote, and takes it apart: the groups are `address`,
/// `zone` and `port`, the last two empty where there is none. For Rust's `regex`, Go, Python, PCRE (`grep -P`) and all that know named
/// groups as `(?P<name>...)`.
///
/// It relies on the one canonical form: lower case, `::` for zeros, no leading zeros, brackets where there is a port. Before the endpoint
/// stands no letter or digit, and none of `.`, `:`, `%`, `_` and `-`; behind it no letter, digit or `_`. Times, hardware addresses of six
/// octets, paths such as `std::net` and version numbers of up to three parts are not taken for endpoints; four numbers with dots are, and
/// the first four of more.
///
/// ```
/// let regex = regex::Regex::new(sixgate_endpoint::LOG_REGEX)?;
/// let line = "2026-11-25T15:00:54Z refused peer=[fe80::1%eth0]:546 mac=02:00:5e:00:00:01 upstream=192.0.2.1:53 tries=3";
/// let found: Vec<_> = regex
///     .captures_iter(line)
///     .map(|found| ["address", "zone", "port"].map(|name| found.name(name).map_or("", |group| group.as_str())))
///     .collect();
/// assert_eq!(found, [["fe80::1", "eth0", "546"], ["192.0.2.1", "", "53"]]);
/// # Ok::<(), regex::Error>(())
/// ```
pub const LOG_REGEX: &str = concat!(
    // What comes before belongs to no address.
    r"(?:^|[^0-9A-Za-z.:%_-])\[?",
    r"(?P<address>",
    // Eight groups, or fewer around `::`. What goes on behind is none: `dec::decode`, `1.2.3.400`.
    r"(?:(?:0|[1-9a-f][0-9a-f]{0,3}):){7}(?:0|[1-9a-f][0-9a-f]{0,3})\b",
    r"|(?:(?:0|[1-9a-f][0-9a-f]{0,3})(?::(?:0|[1-9a-f][0-9a-f]{0,3})){0,6})?",
    r"::(?:(?:0|[1-9a-f][0-9a-f]{0,3})(?::(?:0|[1-9a-f][0-9a-f]{0,3})){0,6}\b|\B)",
    r"|(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})\b",
    // A dot at the end is the sentence's.
    r")(?:%(?P<zone>[0-9A-Za-z._@~+-]{0,14}[0-9A-Za-z_@~+-]))?",
    r"\]?(?::(?P<port>[0-9]{1,5})\b)?",
);
