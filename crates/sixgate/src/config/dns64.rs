//! `dns.dns64`: a NAT64's prefix, and whether somebody on a LAN is told of it.

use super::{Lan, Reader};
use ipnet::Ipv6Net;
use sixgate_endpoint::nat64::{Prefix, PrefixError};
use std::ops::Range;
use toml::Spanned;

const KEY: &str = "dns.dns64";

impl Reader<'_> {
    /// Reads the prefix, and warns where names would be given addresses that lead nowhere: the field's known
    /// accident is DNS64 without a NAT64.
    pub(super) fn dns64(
        &mut self,
        text: &Spanned<String>,
        lans: &[(Lan, Range<usize>)],
        enabled: bool,
    ) -> Option<Prefix> {
        let net = self.prefix(text, KEY, "write a NAT64 prefix, such as 64:ff9b::/96")?;
        let prefix = match Prefix::new(net.addr(), net.prefix_len()) {
            Ok(prefix) => prefix,
            Err(error) => {
                let remedy = match error {
                    PrefixError::Bits(_, length, meant) => format!("write {meant}/{length}"),
                    _ => "choose 96 where nothing else is asked for".to_owned(),
                };
                self.error(text.span(), KEY, error.to_string(), remedy);
                return None;
            }
        };
        if !enabled {
            self.warn(
                text.span(),
                KEY,
                "dns64 does nothing while dns.enabled is false",
                "let sixgate answer DNS, or take dns64 out",
            );
        } else if !lans.iter().any(|(lan, _)| lan.pref64 == Some(net)) {
            let others: Vec<String> =
                lans.iter().filter_map(|(lan, _)| lan.pref64.as_ref()).map(Ipv6Net::to_string).collect();
            let told = if others.is_empty() {
                "no LAN announces this prefix".to_owned()
            } else {
                format!("no LAN announces this prefix, but {}", others.join(", "))
            };
            self.warn(
                text.span(),
                KEY,
                format!(
                    "{told}: names that have IPv4 addresses only get addresses in {net}, which lead nowhere \
                     without a NAT64"
                ),
                format!(
                    "where a NAT64 carries {net}, add pref64 = \"{net}\" to each [[lan]]; where there is \
                     none, take dns64 out"
                ),
            );
        }
        Some(prefix)
    }
}
