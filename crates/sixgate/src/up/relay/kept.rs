//! Delegations that outlive a restart: a setting in the store for each prefix (RFC 8987 section 4.3 S-1).

use ipnet::Ipv6Net;
use sixgate_dhcp::relay::Delegation;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the names of these settings begin with; the prefix follows.
const KEY: &str = "relay.prefix.";

pub(super) fn key(prefix: &Ipv6Net) -> String {
    format!("{KEY}{prefix}")
}

/// Next hop, client, its number for the association (`-` where that is not known), end in seconds since the
/// epoch (`-` for ever), and the LAN's name, which may have spaces.
pub(super) fn encode(delegation: &Delegation) -> Vec<u8> {
    let Delegation { via, duid, iaid, link, valid_until, .. } = delegation;
    let end = if *valid_until == Duration::MAX { "-".to_owned() } else { valid_until.as_secs().to_string() };
    let iaid = iaid.map_or_else(|| "-".to_owned(), |iaid| iaid.to_string());
    format!("{via} {duid} {iaid} {end} {link}").into_bytes()
}

fn decode(prefix: &str, value: &[u8]) -> Option<Delegation> {
    let text = std::str::from_utf8(value).ok()?;
    let mut words = text.splitn(5, ' ');
    Some(Delegation {
        prefix: prefix.parse().ok()?,
        via: words.next()?.parse().ok()?,
        duid: words.next()?.parse().ok()?,
        iaid: match words.next()? {
            "-" => None,
            iaid => Some(iaid.parse().ok()?),
        },
        valid_until: match words.next()? {
            "-" => Duration::MAX,
            seconds => Duration::from_secs(seconds.parse().ok()?),
        },
        link: words.next()?.into(),
    })
}

/// All that were kept; what cannot be read is left out, and comes back with the next Reply.
pub(super) fn read(settings: &BTreeMap<String, Vec<u8>>) -> Vec<Delegation> {
    (settings.range(KEY.to_owned()..))
        .map_while(|(name, value)| Some((name.strip_prefix(KEY)?, value)))
        .filter_map(|(prefix, value)| decode(prefix, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegations_come_back() {
        let delegation = |end, iaid| Delegation {
            prefix: "2001:db8:100::/56".parse().unwrap(),
            link: "floor 2".into(),
            via: "fe80::1".parse().unwrap(),
            duid: "00:03:00:01:02:00:00:00:00:01".parse().unwrap(),
            iaid,
            valid_until: end,
        };
        let there_and_back = |end, iaid| {
            let delegation = delegation(end, iaid);
            let mut settings = BTreeMap::from([
                ("relay.other".to_owned(), Vec::new()),
                ("relay.prefix.x".to_owned(), vec![255]),
            ]);
            settings.insert(key(&delegation.prefix), encode(&delegation));
            assert_eq!(read(&settings), [delegation]);
        };
        there_and_back(Duration::from_hours(500_000), Some(7));
        there_and_back(Duration::MAX, None);
    }
}
