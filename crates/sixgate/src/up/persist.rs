//! What outlives a restart beside the leases: the uplink's binding and the prefixes that hosts were told of, as settings in the
//! store; the DUID, as a file of its own that a person can read, copy and put back.

use sixgate_nd::router::AdvertisedPrefix;
use sixgate_wire::dhcpv6::Duid;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Setting that holds the uplink's binding.
pub(crate) const BINDING: &str = "uplink.binding";

/// Setting that holds what hosts on a LAN were told.
pub(crate) fn advertised_key(lan: &str) -> String {
    format!("lan.{lan}.advertised")
}

/// One prefix a line: prefix, flags, preferred and valid time in seconds since the epoch, `-` for ever.
pub(crate) fn encode_advertised(prefixes: &[AdvertisedPrefix]) -> Vec<u8> {
    let mut text = String::new();
    for prefix in prefixes {
        let flags: String = [(prefix.on_link, 'L'), (prefix.autonomous, 'A'), (prefix.pd_preferred, 'P')]
            .iter()
            .map(|(on, flag)| if *on { *flag } else { '-' })
            .collect();
        let (preferred, valid) = (time(prefix.preferred_until), time(prefix.valid_until));
        let _ = writeln!(text, "{} {flags} {preferred} {valid}", prefix.prefix);
    }
    text.into_bytes()
}

/// What [`encode_advertised`] wrote; lines that it did not write are left out.
pub(crate) fn decode_advertised(bytes: &[u8]) -> Vec<AdvertisedPrefix> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let prefix = words.next()?.parse().ok()?;
        let flags = words.next()?;
        Some(AdvertisedPrefix {
            prefix,
            on_link: flags.contains('L'),
            autonomous: flags.contains('A'),
            pd_preferred: flags.contains('P'),
            preferred_until: untime(words.next()?)?,
            valid_until: untime(words.next()?)?,
        })
    };
    String::from_utf8_lossy(bytes).lines().filter_map(line).collect()
}

fn time(until: Duration) -> String {
    if until == Duration::MAX { "-".to_owned() } else { until.as_secs().to_string() }
}

fn untime(word: &str) -> Option<Duration> {
    if word == "-" { Some(Duration::MAX) } else { word.parse().ok().map(Duration::from_secs) }
}

/// Why there is no DUID.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DuidError {
    #[error("cannot read the DUID from {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot keep the DUID in {}: {source}; a gateway that forgets its DUID loses its prefix at every restart", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Never replaced silently: with another DUID the ISP sees another customer.
    #[error("{} does not hold a DUID in hexadecimal: restore it from a backup, or remove it to be a new client to the ISP", path.display())]
    Unreadable { path: PathBuf },
}

/// The DUID kept in `folder`; at the first start one is made from `link_layer` and the time (DUID-LLT, RFC 9915 section 11.2).
pub(crate) fn duid(folder: &Path, link_layer: [u8; 6], now: Duration) -> Result<Duid, DuidError> {
    let path = folder.join("duid");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| DuidError::Unreadable { path }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            let duid = Duid::link_layer_time(link_layer, now.as_secs());
            let text = format!("{duid}\n");
            sixgate_linux::lock::write_atomically(&path, text.as_bytes())
                .map_err(|error| DuidError::Write { path, source: io::Error::other(error) })?;
            Ok(duid)
        }
        Err(source) if source.kind() == io::ErrorKind::InvalidData => Err(DuidError::Unreadable { path }),
        Err(source) => Err(DuidError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_prefixes_come_back() {
        let a = AdvertisedPrefix {
            prefix: "2001:db8::/64".parse().unwrap(),
            on_link: true,
            autonomous: false,
            pd_preferred: true,
            preferred_until: Duration::from_hours(500_000),
            valid_until: Duration::MAX,
        };
        let text = encode_advertised(&[a]);
        assert_eq!(String::from_utf8_lossy(&text), "2001:db8::/64 L-P 1800000000 -\n");
        assert_eq!(decode_advertised(&text), [a]);
        assert!(decode_advertised(b"\xff\xfe\nnonsense\n2001:db8::/64 L\n").is_empty());
    }
}
