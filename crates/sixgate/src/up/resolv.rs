//! The text of resolv.conf.

use sixgate_endpoint::{Endpoint, Zone};
use std::fmt::Write as _;

/// Resolvers that the C library heeds (MAXNS in resolv.conf(5)).
const MOST: usize = 3;

/// The first line, by which a file that an earlier run left is known.
const HEADER: &str = "# Written by sixgate from what the uplink tells; changes here are overwritten.\n";

/// Whether sixgate wrote it.
pub(crate) fn is_ours(text: &[u8]) -> bool {
    text.starts_with(HEADER.as_bytes())
}

/// What resolv.conf shall say.
pub(crate) fn text(resolvers: &[Endpoint], interface: &str, domains: &[String]) -> String {
    let mut text = String::from(HEADER);
    for resolver in resolvers.iter().take(MOST) {
        // By name: the file outlives the interface's index.
        let resolver = Zone::from_name(interface).map_or(*resolver, |zone| resolver.with_zone(zone));
        let _ = writeln!(text, "nameserver {}", resolver.without_port());
    }
    if !domains.is_empty() {
        let _ = writeln!(text, "search {}", domains.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_resolvers_carry_their_zone() {
        let resolvers = ["[fe80::1]:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()];
        let text = text(&resolvers, "wan0", &["home.arpa".into()]);
        assert!(
            text.ends_with("nameserver fe80::1%wan0\nnameserver 2001:db8::53\nsearch home.arpa\n"),
            "{text}"
        );
    }
}
