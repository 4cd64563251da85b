//! Finding endpoints in log lines.

/// A regular expression that finds each endpoint in a log line that this crate's types wrote, and takes it apart: the groups are `address`,
/// `zone` and `port`, the last two empty where there is none. For Rust's `regex`, Go, Python, PCRE (`grep -P`) and all that know named
/// groups as `(?P<name>...)`.
///
/// It relies on the one canonical form: lower case, `::` for zeros, no leading zeros, brackets where there is a port. Times, hardware
/// addresses and version numbers with other than four parts are not taken for endpoints.
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
    // Eight groups, or fewer around `::`.
    r"(?:(?:0|[1-9a-f][0-9a-f]{0,3}):){7}(?:0|[1-9a-f][0-9a-f]{0,3})",
    r"|(?:(?:0|[1-9a-f][0-9a-f]{0,3})(?::(?:0|[1-9a-f][0-9a-f]{0,3})){0,6})?",
    r"::(?:(?:0|[1-9a-f][0-9a-f]{0,3})(?::(?:0|[1-9a-f][0-9a-f]{0,3})){0,6})?",
    r"|(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})",
    r")(?:%(?P<zone>[0-9A-Za-z._@~+-]{1,15}))?",
    r"\]?(?::(?P<port>[0-9]{1,5}))?",
);
