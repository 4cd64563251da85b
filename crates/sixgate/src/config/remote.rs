//! `[relays]` and `[[subnet]]`: which relay agents are heard, and what the clients behind them get.

use super::{DELEGATED, Lan, Located, Reader, file};
use ipnet::Ipv6Net;
use sixgate_dhcp::identity::{Key, Learnt};
use sixgate_dhcp::server::RELAY_SUPPLIED;
use sixgate_wire::dhcpv6::{Definition, OptionCode};
use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// How long things are given behind relay agents where the file does not say: nothing there follows an ISP's prefix.
const VALID: u64 = 24 * 3600;

/// Whose relayed messages are heard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relays {
    pub(crate) interfaces: Vec<Located>,
    pub(crate) from: Vec<Ipv6Net>,
    /// What agents may supply for their clients (RFC 6422).
    pub(crate) supplied: Vec<OptionCode>,
}

/// A link behind relay agents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subnet {
    pub(crate) name: String,
    /// The networks of the link.
    pub(crate) prefixes: Vec<Ipv6Net>,
    /// Link-addresses that stand for it beside those in its networks.
    pub(crate) link_addresses: Vec<Ipv6Net>,
    /// Where addresses are given.
    pub(crate) pools: Vec<Ipv6Net>,
    pub(crate) delegate_from: Vec<Ipv6Net>,
    /// Length of a delegated prefix where the client has no wish, in bits.
    pub(crate) delegate_length: u8,
    pub(crate) key: Key,
    pub(crate) trust: Vec<Learnt>,
    pub(crate) preferred_lifetime: Duration,
    pub(crate) valid_lifetime: Duration,
    pub(crate) dns: Vec<Ipv6Addr>,
    pub(crate) domains: Vec<String>,
    /// Most leases there at one time.
    pub(crate) leases: Option<usize>,
}

impl Reader<'_> {
    pub(super) fn relays(
        &mut self,
        relays: Option<Spanned<file::Relays>>,
        subnets: usize,
        uplink: Option<&str>,
    ) -> Option<Relays> {
        let Some(relays) = relays else {
            if subnets > 0 {
                self.errors.push(super::Diagnostic::whole(
                    self.path,
                    "there is a [[subnet]], and no relay agent is heard".to_owned(),
                    "add [relays] with interfaces = [\"eth0\"] and from = [\"2001:db8:ff::/48\"], the networks that the relay agents send from"
                        .to_owned(),
                ));
            }
            return None;
        };
        let span = relays.span();
        let relays = relays.into_inner();
        let nobody = relays.interfaces.is_empty() || relays.from.is_empty();
        let interfaces: Vec<Located> =
            relays.interfaces.into_iter().map(|name| self.interface(name, "relays.interfaces")).collect();
        for interface in interfaces.iter().filter(|interface| Some(interface.value.as_str()) == uplink) {
            self.error(
                interface.span.clone(),
                "relays.interfaces",
                "no relay agent is heard on the uplink: whoever is there could have your leases",
                "name the interface that leads to your relay agents; on a server without clients of its own leave [uplink] out",
            );
        }
        let from: Vec<Ipv6Net> =
            relays.from.iter().filter_map(|text| self.network(text, "relays.from")).collect();
        if nobody {
            self.error(
                span,
                "relays",
                "no relay agent would be heard",
                "name at least one interface, and at least one network that relay agents send from",
            );
        }
        let supplied = match relays.supplied_options {
            None => RELAY_SUPPLIED.to_vec(),
            Some(names) => names.iter().filter_map(|name| self.supplied(name)).collect(),
        };
        Some(Relays { interfaces, from, supplied })
    }

    /// An option by its name, or its code.
    fn supplied(&mut self, name: &Spanned<String>) -> Option<OptionCode> {
        let word = name.get_ref();
        let code = word.parse().ok().map(OptionCode);
        let known = Definition::named(word).or_else(|| Definition::of(code?));
        if known.is_none() {
            self.error(
                name.span(),
                "relays.supplied-options",
                format!("`{word}` is no option that configures hosts"),
                "write names that `sixgate options` shows, such as \"erp-domain\"",
            );
        }
        known.map(|known| known.code)
    }

    /// An address, or a network.
    fn network(&mut self, text: &Spanned<String>, key: &str) -> Option<Ipv6Net> {
        let written = text.get_ref();
        let found = written.parse::<Ipv6Addr>().map(Ipv6Net::from).or_else(|_| written.parse::<Ipv6Net>());
        match found {
            Ok(net) if net.trunc() == net => Some(net),
            Ok(net) => {
                let message = format!("`{net}` has bits set beyond its length");
                self.error(text.span(), key, message, format!("did you mean `{}`?", net.trunc()));
                None
            }
            Err(_) => {
                let message = format!("`{written}` is neither an IPv6 address nor an IPv6 prefix");
                self.error(
                    text.span(),
                    key,
                    message,
                    "write one, such as 2001:db8:ff::1 or 2001:db8:ff::/48",
                );
                None
            }
        }
    }

    /// `key` and `trust` of a LAN or a subnet; `usual` is trusted where the file does not say.
    pub(super) fn key(
        &mut self,
        section: &str,
        key: Option<Spanned<String>>,
        trust: Option<&[Spanned<String>]>,
        remote: bool,
    ) -> (Key, Vec<Learnt>) {
        let mut known = Vec::new();
        for word in trust.into_iter().flatten() {
            match Learnt::from_name(word.get_ref()) {
                Some(Learnt::Link) if remote => self.error(
                    word.span(),
                    &format!("{section}.trust"),
                    "the frames of clients behind a relay agent are not seen here",
                    "write \"relay\" for what relay agents tell (RFC 6939), \"eui-64\" or \"duid\"",
                ),
                Some(learnt) => known.push(learnt),
                None => self.error(
                    word.span(),
                    &format!("{section}.trust"),
                    format!("a hardware address is not learnt by `{}`", word.get_ref()),
                    "choose among \"link\", \"relay\", \"eui-64\" and \"duid\"",
                ),
            }
        }
        if trust.is_none() && !remote {
            known.push(Learnt::Link);
        }
        known.sort_unstable();
        known.dedup();
        let Some(word) = key else { return (Key::Duid, known) };
        let Some(key) = Key::from_name(word.get_ref()) else {
            self.error(
                word.span(),
                &format!("{section}.key"),
                format!("clients are not known by `{}`", word.get_ref()),
                "choose \"duid\", \"mac\" or \"line\"",
            );
            return (Key::Duid, known);
        };
        if key == Key::Mac && known.is_empty() {
            self.error(
                word.span(),
                &format!("{section}.key"),
                "clients are to be known by their hardware address, and none is trusted: nobody would get anything",
                "add trust = [\"relay\"] if the relay agents tell it (RFC 6939)",
            );
        }
        (key, known)
    }

    pub(super) fn subnets(
        &mut self,
        subnets: Vec<Spanned<file::Subnet>>,
        lans: &[(Lan, Range<usize>)],
    ) -> Vec<Subnet> {
        let spanned: Vec<(Subnet, Range<usize>)> = subnets
            .into_iter()
            .map(|subnet| {
                let span = subnet.span();
                (self.subnet(subnet.into_inner(), span.clone()), span)
            })
            .collect();
        let mut names: HashSet<&str> = lans.iter().map(|(lan, _)| lan.name.as_str()).collect();
        for (subnet, span) in &spanned {
            if !names.insert(&subnet.name) {
                self.error(
                    span.clone(),
                    "subnet.name",
                    format!("two subnets, or a LAN and a subnet, are called `{}`", subnet.name),
                    "give each a name of its own",
                );
            }
        }
        self.check_subnets(&spanned, lans);
        spanned.into_iter().map(|(subnet, _)| subnet).collect()
    }

    fn subnet(&mut self, subnet: file::Subnet, span: Range<usize>) -> Subnet {
        let network = |reader: &mut Self, texts: &[Spanned<String>], key| -> Vec<Ipv6Net> {
            texts.iter().filter_map(|text| reader.network(text, key)).collect()
        };
        let prefixes = self.prefixes(
            subnet.prefixes,
            "subnet.prefixes",
            1..=128,
            "write a prefix, such as 2001:db8:7::/64",
        );
        let link_addresses =
            network(self, subnet.link_addresses.as_deref().unwrap_or_default(), "subnet.link-addresses");
        if prefixes.is_empty() && link_addresses.is_empty() {
            self.error(
                span.clone(),
                "subnet.prefixes",
                "no message would ever belong to this subnet",
                "give it prefixes = [\"2001:db8:7::/64\"], or the link-addresses that its relay agents tell",
            );
        }
        let pools = match &subnet.pools {
            None => prefixes.clone(),
            Some(texts) => {
                let pools = network(self, texts, "subnet.pools");
                for (pool, text) in pools.iter().zip(texts) {
                    if !prefixes.iter().any(|prefix| prefix.contains(pool)) {
                        self.error(
                            text.span(),
                            "subnet.pools",
                            format!(
                                "{pool} lies in none of the subnet's prefixes: no host there could use it"
                            ),
                            "name a part of one of the prefixes",
                        );
                    }
                }
                pools
            }
        };
        let delegate_from = self.prefixes(
            subnet.delegate_from,
            "subnet.delegate-from",
            0..=64,
            "write a prefix of at most 64 bits, such as 2001:db8:100::/40",
        );
        let shortest = delegate_from.iter().map(Ipv6Net::prefix_len).max().unwrap_or(*DELEGATED.start());
        let delegate_length = subnet.delegate_length.map_or(56.max(shortest), |length| {
            let value = *length.get_ref();
            if value < shortest || value > 64 {
                self.error(
                    length.span(),
                    "subnet.delegate-length",
                    format!("prefixes of {value} bits cannot be cut from what delegate-from names"),
                    format!("choose {shortest} to 64"),
                );
            }
            value
        });
        let valid_lifetime =
            self.seconds(subnet.valid_lifetime, "subnet.valid-lifetime", VALID, 60, u64::from(u32::MAX) - 1);
        let preferred_lifetime = self.seconds(
            subnet.preferred_lifetime,
            "subnet.preferred-lifetime",
            valid_lifetime.as_secs() / 2,
            30,
            valid_lifetime.as_secs(),
        );
        let mut dns = Vec::new();
        for text in subnet.dns.unwrap_or_default() {
            match text.get_ref().parse() {
                Ok(address) => dns.push(address),
                Err(_) => self.error(
                    text.span(),
                    "subnet.dns",
                    format!("`{}` is not an IPv6 address", text.get_ref()),
                    "write one, such as 2001:db8::53",
                ),
            }
        }
        let (key, trust) = self.key("subnet", subnet.key, subnet.trust.as_deref(), true);
        let name = subnet.name.or_else(|| prefixes.first().map(Ipv6Net::to_string));
        let name = name
            .unwrap_or_else(|| link_addresses.first().map_or_else(String::new, |net| net.addr().to_string()));
        Subnet {
            name,
            prefixes,
            link_addresses,
            pools,
            delegate_from,
            delegate_length,
            key,
            trust,
            preferred_lifetime,
            valid_lifetime,
            dns,
            domains: subnet.domains.unwrap_or_default(),
            leases: subnet.leases.map(|leases| leases.get() as usize),
        }
    }

    /// No two subnets, and no subnet and LAN, share an address; several subnets may delegate from one pool. Sorted by
    /// their bits, a prefix that overlaps others stands right before the first of them.
    fn check_subnets(&mut self, subnets: &[(Subnet, Range<usize>)], lans: &[(Lan, Range<usize>)]) {
        // LANs among themselves are looked at elsewhere.
        let is_lan = |name: &str| lans.iter().any(|(lan, _)| lan.name == name);
        let mut all: Vec<(Ipv6Net, bool, &str, &Range<usize>)> = Vec::new();
        for (subnet, span) in subnets {
            all.extend(subnet.prefixes.iter().map(|net| (*net, false, subnet.name.as_str(), span)));
            all.extend(subnet.delegate_from.iter().map(|net| (*net, true, subnet.name.as_str(), span)));
        }
        for (lan, span) in lans {
            all.extend(lan.prefixes.iter().map(|net| (*net, false, lan.name.as_str(), span)));
            all.extend(lan.delegate_from.iter().map(|net| (*net, true, lan.name.as_str(), span)));
        }
        all.sort_by_key(|(net, ..)| *net);
        let mut cover: Option<(Ipv6Net, bool, &str)> = None;
        for (net, delegated, name, span) in all {
            match cover {
                Some((other, of_other, whose)) if other.contains(&net) => {
                    if !(delegated && of_other && net == other || is_lan(name) && is_lan(whose)) {
                        self.error(
                            span.clone(),
                            if delegated { "subnet.delegate-from" } else { "subnet.prefixes" },
                            format!("{net} of `{name}` overlaps {other} of `{whose}`"),
                            "give each subnet, and what is delegated, address space of its own",
                        );
                    }
                }
                _ => cover = Some((net, delegated, name)),
            }
        }
        let mut told: HashMap<Ipv6Net, &str> = HashMap::new();
        for (subnet, span) in subnets {
            for net in &subnet.link_addresses {
                if let Some(other) = told.insert(*net, &subnet.name) {
                    self.error(
                        span.clone(),
                        "subnet.link-addresses",
                        format!("{net} stands for `{other}` and for `{}`", subnet.name),
                        "let each link-address stand for one subnet",
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{HOME, finding, parse};
    use sixgate_dhcp::identity::{Key, Learnt};

    const RELAYS: &str = "[relays]\ninterfaces = [\"core0\"]\nfrom = [\"2001:db8:ff::/48\"]\n";

    fn subnet(keys: &str) -> String {
        format!("{RELAYS}[[subnet]]\nprefixes = [\"2001:db8:7::/64\"]\n{keys}\n")
    }

    #[test]
    fn a_server_needs_neither_uplink_nor_lan() {
        let config = parse(&subnet("")).unwrap().config;
        assert!(config.uplink.is_none() && config.lans.is_empty());
        let subnet = &config.subnets[0];
        assert_eq!((subnet.name.as_str(), &subnet.pools), ("2001:db8:7::/64", &subnet.prefixes));
        assert_eq!((subnet.key, subnet.trust.len(), subnet.valid_lifetime.as_secs()), (Key::Duid, 0, 86_400));
        let by_mac =
            parse(&self::subnet("key = \"mac\"\ntrust = [\"duid\", \"relay\", \"duid\"]")).unwrap().config;
        assert_eq!(by_mac.subnets[0].trust, [Learnt::Relay, Learnt::Duid]);
        let none =
            parse(&self::subnet("pools = []\ndelegate-from = [\"2001:db8:1000::/40\"]")).unwrap().config;
        assert_eq!((none.subnets[0].pools.len(), none.subnets[0].delegate_length), (0, 56));
        // Without a word about them, LANs are as they were, and no relay agent is heard.
        let home = parse(HOME).unwrap().config;
        assert_eq!(
            (home.lans[0].key, &home.lans[0].trust[..], home.relays),
            (Key::Duid, &[Learnt::Link][..], None)
        );
    }

    #[test]
    fn mistakes_are_told_with_their_remedy() {
        for (text, told) in [
            (
                "[[subnet]]\nprefixes = [\"2001:db8:7::/64\"]\n".to_owned(),
                "no relay agent is heard / add [relays]",
            ),
            (format!("{RELAYS}[[subnet]]\nname = \"x\"\n"), "no message would ever belong to this subnet"),
            (
                RELAYS.replace("\"2001:db8:ff::/48\"", "\"2001:db8:ff::1/48\""),
                "has bits set beyond its length",
            ),
            (RELAYS.replace("\"2001:db8:ff::/48\"", ""), "no relay agent would be heard"),
            (
                RELAYS.replace("\"2001:db8:ff::/48\"", "\"all\""),
                "`all` is neither an IPv6 address nor an IPv6 prefix",
            ),
            (format!("{HOME}{}", RELAYS.replace("core0", "wan0")), "no relay agent is heard on the uplink"),
            (
                RELAYS.to_owned() + "supplied-options = [\"client-id\"]\n",
                "`client-id` is no option that configures hosts / write names",
            ),
            (subnet("key = \"name\""), "clients are not known by `name` / choose"),
            (subnet("key = \"mac\""), "none is trusted: nobody would get anything / add trust = [\"relay\"]"),
            (subnet("trust = [\"link\"]"), "the frames of clients behind a relay agent are not seen here"),
            (subnet("trust = [\"hearsay\"]"), "is not learnt by `hearsay`"),
            (
                subnet("pools = [\"2001:db8:8::/64\"]"),
                "2001:db8:8::/64 lies in none of the subnet's prefixes",
            ),
            (
                subnet("delegate-from = [\"2001:db8::/32\"]"),
                "2001:db8:7::/64 of `2001:db8:7::/64` overlaps 2001:db8::/32",
            ),
            (subnet("delegate-from = [\"2001:db8:1000::/40\"]\ndelegate-length = 39"), "choose 40 to 64"),
            (subnet("dns = [\"192.0.2.1\"]"), "`192.0.2.1` is not an IPv6 address"),
            (
                subnet("[[subnet]]\nprefixes = [\"2001:db8:7::/64\"]\nname = \"again\""),
                "overlaps 2001:db8:7::/64",
            ),
            (
                subnet("link-addresses = [\"::1\"]\n[[subnet]]\nname = \"b\"\nlink-addresses = [\"::1\"]"),
                "::1/128 stands for `2001:db8:7::/64` and for `b`",
            ),
            (
                subnet("name = \"a\"\n[[subnet]]\nname = \"a\"\nprefixes = [\"2001:db8:8::/64\"]"),
                "two subnets, or a LAN and a subnet, are called `a`",
            ),
        ] {
            let said = finding(&text);
            assert!(said.contains(told), "{text}{said}");
        }
    }
}
