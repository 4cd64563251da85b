//! Times as people write and read them: RFC 3339 in UTC, and "2h ago".

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The date of a second since the Unix epoch, in UTC.
pub(crate) fn date(second: u64) -> String {
    let (year, month, day) = civil(second / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A time since the Unix epoch to the second, in UTC (RFC 3339).
pub(crate) fn rfc3339(time: Duration) -> String {
    let second = time.as_secs();
    let (hour, minute, rest) = (second % DAY / HOUR, second % HOUR / MINUTE, second % MINUTE);
    format!("{}T{hour:02}:{minute:02}:{rest:02}Z", date(second))
}

/// Year, month and day of a day since the Unix epoch.
fn civil(day: u64) -> (u64, u64, u64) {
    // Days count from a first of March in a year that 400 divides, so that a leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The day since the Unix epoch that a date names; none before the epoch, and for what is no date.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted_year = if month <= 2 { year.checked_sub(1)? } else { year };
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day.checked_sub(1)?;
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let found = days.checked_sub(719_468)?;
    (civil(found) == (year, month, day)).then_some(found)
}

/// From when to when a text says: an instant to the precision in which it is written, so that a date is a whole day and
/// 14:03 a whole minute. Without an offset it is UTC.
///
/// # Errors
/// What to write, as a sentence.
pub(crate) fn parse(text: &str, now: Duration) -> Result<(Duration, Duration), String> {
    let wrong = || {
        format!(
            "`{text}` is no time: write 2026-11-24T14:03 (UTC), 2026-11-24T14:03:20+01:00, a day as 2026-11-24, \
             \"2h ago\", or now"
        )
    };
    let text = text.trim();
    if text == "now" {
        return Ok((now, now));
    }
    if let Some(ago) = relative(text) {
        let then = now.saturating_sub(Duration::from_secs(ago));
        return Ok((then, then));
    }
    let (from, span) = absolute(text).ok_or_else(wrong)?;
    let from = Duration::from_secs(from);
    Ok((from, from + Duration::new(span - 1, 999_999_999)))
}

/// Seconds, of `90s`, `2h ago` and the like.
fn relative(text: &str) -> Option<u64> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim_end();
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return None,
    };
    number(text.get(..text.len() - 1)?.trim_end())?.checked_mul(unit)
}

/// The second at which the text begins, and how many it spans.
fn absolute(text: &str) -> Option<(u64, u64)> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (fixed(parts.next()?, 4)?, fixed(parts.next()?, 2)?, fixed(parts.next()?, 2)?);
    let start = day_of(year, month, day).filter(|_| parts.next().is_none())?.checked_mul(DAY)?;
    let Some(time) = time else { return Some((start, DAY)) };
    let (time, east, west) = offset(time)?;
    let mut parts = time.split(':');
    let (hour, minute) = (fixed(parts.next()?, 2)?, fixed(parts.next()?, 2)?);
    let second = match parts.next() {
        // Parts of a second are read and not heeded.
        Some(second) => Some(fixed(second.split_once('.').map_or(second, |(whole, _)| whole), 2)?),
        None => None,
    };
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second.is_some_and(|second| second > 60) || parts.next().is_some() {
        return None;
    }
    let local = start + hour * HOUR + minute * MINUTE + second.unwrap_or(0);
    Some(((local + west).checked_sub(east)?, if second.is_some() { 1 } else { MINUTE }))
}

/// A time of day without its offset, and how many seconds that is to the east and to the west of Greenwich.
fn offset(time: &str) -> Option<(&str, u64, u64)> {
    if let Some(utc) = time.strip_suffix(['Z', 'z']) {
        return Some((utc, 0, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0, 0)) };
    let (time, written) = time.split_at_checked(at)?;
    let (hours, minutes) = written.get(1..)?.split_once(':')?;
    let (hours, minutes) = (fixed(hours, 2)?, fixed(minutes, 2)?);
    let seconds = hours * HOUR + minutes * MINUTE;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some(if written.starts_with('+') { (time, seconds, 0) } else { (time, 0, seconds) })
}

/// A number of so many digits.
fn fixed(text: &str, digits: usize) -> Option<u64> {
    number(text).filter(|_| text.len() == digits)
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (second, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_795_000_000, "2026-11-18"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(second), expected);
        }
        for day in (0..150_000).step_by(13) {
            let (year, month, date) = civil(day);
            assert_eq!(day_of(year, month, date), Some(day));
        }
    }

    #[test]
    fn times_are_read_as_precisely_as_they_are_written() {
        let now = Duration::from_secs(1_795_000_000);
        let minute = 1_795_528_980;
        for (text, from, span) in [
            ("2026-11-24T14:03", minute, 60),
            ("2026-11-24 14:03Z", minute, 60),
            ("2026-11-24T14:03:20", minute + 20, 1),
            ("2026-11-24T14:03:20.5z", minute + 20, 1),
            ("2026-11-24T15:03:20+01:00", minute + 20, 1),
            ("2026-11-24T10:33:20-03:30", minute + 20, 1),
            ("2026-11-24", minute - 14 * 3_600 - 3 * 60, 86_400),
        ] {
            let (begin, end) = parse(text, now).unwrap();
            assert_eq!(begin, Duration::from_secs(from), "{text}");
            assert_eq!(end, Duration::new(from + span - 1, 999_999_999), "{text}");
        }
        for (text, ago) in [("now", 0), ("2h ago", 7_200), ("2h", 7_200), ("90 s ago", 90), ("1w", 604_800)] {
            let then = now.saturating_sub(Duration::from_secs(ago));
            assert_eq!(parse(text, now), Ok((then, then)), "{text}");
        }
        assert_eq!(parse("999999w ago", now), Ok((Duration::ZERO, Duration::ZERO)));
        assert_eq!(rfc3339(Duration::from_secs(minute + 20)), "2026-11-24T14:03:20Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        for text in [
            "",
            "yesterday",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "1969-12-31",
            "2026-11-24T24:00",
            "2026-11-24T1:00",
            "2026-11-24T14:03+1",
            "2026-11-24T14:03:61",
            "2026-11-24T14",
            "18446744073709551615w",
            "-2h",
            "2026-11-24-01",
            "ago",
            "h",
            "+2h",
            "2026-11-24T14:03:20:20",
            "1970-01-01T00:00+01:00",
            "99999-01-01",
        ] {
            let refused = parse(text, Duration::from_secs(1_795_000_000));
            assert!(refused.as_ref().is_err_and(|words| words.contains("2h ago")), "{text}: {refused:?}");
        }
    }
}
