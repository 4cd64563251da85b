//! `[leasequery]`: who may ask about other people's leases.

use super::{Reader, file};
use ipnet::Ipv6Net;

impl Reader<'_> {
    /// The networks of those who may ask; nobody, where the section is left out.
    pub(super) fn leasequery(&mut self, leasequery: Option<file::Leasequery>) -> Vec<Ipv6Net> {
        let Some(leasequery) = leasequery else { return Vec::new() };
        let mut from = Vec::new();
        for text in leasequery.from.get_ref() {
            match text.get_ref().parse::<Ipv6Net>() {
                Ok(net) => from.push(net.trunc()),
                Err(_) => self.error(
                    text.span(),
                    "leasequery.from",
                    format!("`{}` is not an IPv6 prefix", text.get_ref()),
                    "name networks of relay agents and the like, such as 2001:db8:5::/64, or one address as 2001:db8:5::1/128",
                ),
            }
        }
        if leasequery.from.get_ref().is_empty() {
            self.error(
                leasequery.from.span(),
                "leasequery.from",
                "nobody may ask: the list is empty",
                "name the networks of those who may, or leave [leasequery] out",
            );
        }
        from
    }
}
