//! The text of resolv.conf.

use std::fmt::Write as _;
use std::net::SocketAddrV6;

/// Resolvers that the C library heeds (MAXNS in resolv.conf(5)).
const MOST: usize = 3;

/// The first line, by which a file that an earlier run left is known.
const HEADER: &str = "# Written by sixgate from what the uplink tells; changes here are overwritten.\n";

/// Whether sixgate wrote it.
pub(crate) fn is_ours(text: &[u8]) -> bool {
    text.starts_with(HEADER.as_bytes())
}

/// What resolv.conf shall say.
pub(crate) fn text(resolvers: &[SocketAddrV6], interface: &str, domains: &[String]) -> String {
    let mut text = String::from(HEADER);
    for resolver in resolvers.iter().take(MOST) {
        let zone =
            if resolver.ip().is_unicast_link_local() { format!("%{interface}") } else { String::new() };
        let _ = writeln!(text, "nameserver {}{zone}", resolver.ip());
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
