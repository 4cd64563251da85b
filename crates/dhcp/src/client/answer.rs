//! What a server answered: an Advertise or Reply, read once, without what contradicts itself.

use super::binding::ReconfigureKey;
use super::config::{Config, Require};
use super::leases::{Association, Leases};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{
    Authentication, DhcpOption, Duid, IaAddress, IaPrefix, Message, OptionCode, Options, StatusCode,
};
use std::net::Ipv6Addr;

/// Most leases taken of one association: a home has one or two.
pub(super) const MAX_LEASES: usize = 16;
/// Most resolvers, and most search domains, taken.
const MAX_NAMES: usize = 16;
/// Most other options kept, and most octets of each.
const MAX_OPTIONS: usize = 32;
const MAX_OPTION: usize = 1024;

/// An Advertise or a Reply.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) server: Duid,
    pub(super) status: StatusCode,
    pub(super) preference: u8,
    pub(super) rapid_commit: bool,
    /// The associations that the client asked for, as far as the server spoke of them.
    pub(super) granted: Vec<Granted>,
    pub(super) dns_servers: Vec<Ipv6Addr>,
    pub(super) domains: Vec<String>,
    pub(super) options: Vec<(u16, Vec<u8>)>,
    pub(super) sol_max_rt: Option<u32>,
    pub(super) inf_max_rt: Option<u32>,
    pub(super) refresh: Option<u32>,
    pub(super) key: Option<ReconfigureKey>,
    /// Leases and associations left out.
    pub(super) rejected: u64,
}

/// One association in an answer.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) association: Association,
    pub(super) status: StatusCode,
    pub(super) t1: u32,
    pub(super) t2: u32,
    pub(super) leases: Vec<Lease>,
}

/// One lease in an answer; lifetimes in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) what: Leased,
    pub(super) preferred: u32,
    pub(super) valid: u32,
}

/// What is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leased {
    Address(Ipv6Addr),
    Prefix { prefix: Ipv6Net, excluded: Option<Ipv6Net> },
}

impl Answer {
    /// Reads an Advertise or Reply; `None` where it does not name a server, or not this client (RFC 9915 sections 16.3
    /// and 16.10).
    pub(super) fn read(config: &Config, message: &Message<'_>) -> Option<Self> {
        let options = message.options();
        if options.get(OptionCode::CLIENT_ID) != Some(config.duid.as_bytes()) {
            return None;
        }
        let server = Duid::new(options.get(OptionCode::SERVER_ID)?).ok()?;
        let mut answer = Self {
            server,
            status: options.status().code,
            preference: 0,
            rapid_commit: false,
            granted: Vec::new(),
            dns_servers: Vec::new(),
            domains: Vec::new(),
            options: Vec::new(),
            sol_max_rt: None,
            inf_max_rt: None,
            refresh: None,
            key: None,
            rejected: 0,
        };
        for (code, data) in options.raw() {
            answer.take(config, DhcpOption::decode(code, data));
            answer.keep(config, code, data);
        }
        Some(answer)
    }

    fn take(&mut self, config: &Config, option: DhcpOption<'_>) {
        // RFC 9915 sections 21.24 and 21.25: values outside 60 to 86400 are ignored.
        let in_range = |value: u32| (60..=86_400).contains(&value).then_some(value);
        match option {
            DhcpOption::Preference(value) => self.preference = value,
            DhcpOption::RapidCommit => self.rapid_commit = true,
            DhcpOption::SolMaxRt(value) => self.sol_max_rt = in_range(value).or(self.sol_max_rt),
            DhcpOption::InfMaxRt(value) => self.inf_max_rt = in_range(value).or(self.inf_max_rt),
            DhcpOption::InformationRefreshTime(value) => self.refresh = Some(value),
            DhcpOption::DnsServers(list) => self.dns_servers = list.iter().take(MAX_NAMES).collect(),
            DhcpOption::DomainList(list) => self.domains = list.iter().take(MAX_NAMES).collect(),
            DhcpOption::Authentication(auth) => self.key = reconfigure_key(&auth).or(self.key),
            DhcpOption::IaNa(ia) => {
                let association = Association::Addresses(ia.iaid);
                self.grant(config, association, ia.t1, ia.t2, ia.options);
            }
            DhcpOption::IaPd(ia) => {
                let association = Association::Prefixes(ia.iaid);
                self.grant(config, association, ia.t1, ia.t2, ia.options);
            }
            _ => {}
        }
    }

    /// Keeps an option that was asked for and that has no field of its own.
    fn keep(&mut self, config: &Config, code: OptionCode, data: &[u8]) {
        let own = matches!(
            code,
            OptionCode::DNS_SERVERS
                | OptionCode::DOMAIN_LIST
                | OptionCode::SOL_MAX_RT
                | OptionCode::INF_MAX_RT
                | OptionCode::INFORMATION_REFRESH_TIME
        );
        if !own
            && config.options.contains(&code)
            && self.options.len() < MAX_OPTIONS
            && data.len() <= MAX_OPTION
        {
            self.options.push((code.0, data.to_vec()));
        }
    }

    fn grant(&mut self, config: &Config, association: Association, t1: u32, t2: u32, options: Options<'_>) {
        let asked = config.associations().any(|a| a == association);
        let again = self.granted.iter().any(|granted| granted.association == association);
        // RFC 9915 section 21.4: with T1 above T2 and neither 0, the option is as good as not there.
        if !asked || again || (t1 > t2 && t2 > 0) {
            self.rejected += 1;
            return;
        }
        let mut granted = Granted { association, status: options.status().code, t1, t2, leases: Vec::new() };
        for option in options.iter() {
            let lease = match (association, option) {
                (Association::Addresses(_), DhcpOption::IaAddress(address)) => leased_address(&address),
                (Association::Prefixes(_), DhcpOption::IaPrefix(prefix)) => leased_prefix(&prefix),
                (Association::Addresses(_), DhcpOption::Malformed { code: OptionCode::IA_ADDR, .. })
                | (Association::Prefixes(_), DhcpOption::Malformed { code: OptionCode::IA_PREFIX, .. }) => {
                    None
                }
                _ => continue,
            };
            match lease.filter(|_| granted.leases.len() < MAX_LEASES) {
                Some(lease) => granted.leases.push(lease),
                None => self.rejected += 1,
            }
        }
        self.granted.push(granted);
    }

    /// What the server says of an association.
    pub(super) fn granted(&self, association: Association) -> Option<&Granted> {
        self.granted.iter().find(|granted| granted.association == association)
    }

    /// The leases that may be used.
    pub(super) fn leases(&self) -> Leases {
        let mut leases = Leases::default();
        for granted in &self.granted {
            for lease in granted.leases.iter().filter(|lease| lease.valid > 0) {
                match (granted.association, lease.what) {
                    (Association::Addresses(iaid), Leased::Address(address)) => {
                        leases.addresses.push((iaid, address));
                    }
                    (Association::Prefixes(iaid), Leased::Prefix { prefix, .. }) => {
                        leases.prefixes.push((iaid, prefix));
                    }
                    _ => {}
                }
            }
        }
        leases
    }

    /// Whether it gives what the configuration requires.
    pub(super) fn suffices(&self, config: &Config) -> bool {
        let leases = self.leases();
        let given = |association| leases.count(association) > 0;
        match config.require {
            Require::Any => config.associations().any(given),
            Require::Both => config.associations().all(given),
        }
    }

    /// Greater is better: the server's preference rules (RFC 9915 section 18.2.9), then how many associations are
    /// served, then how many leases there are.
    pub(super) fn rank(&self, config: &Config) -> (u8, usize, usize) {
        let leases = self.leases();
        let served = config.associations().filter(|&association| leases.count(association) > 0).count();
        (self.preference, served, leases.addresses.len() + leases.prefixes.len())
    }
}

/// `None` where the lease contradicts itself (preferred above valid, RFC 9915 section 21.6), is refused by a status of
/// its own, or is not an address that a host can have.
fn leased_address(option: &IaAddress<'_>) -> Option<Lease> {
    let refused = option.options.status().code != StatusCode::SUCCESS;
    if option.preferred > option.valid || refused || !is_usable(option.address) {
        return None;
    }
    Some(Lease { what: Leased::Address(option.address), preferred: option.preferred, valid: option.valid })
}

fn leased_prefix(option: &IaPrefix<'_>) -> Option<Lease> {
    let refused = option.options.status().code != StatusCode::SUCCESS;
    let prefix = option.net();
    if option.preferred > option.valid || refused || prefix.prefix_len() == 0 || !is_usable(prefix.addr()) {
        return None;
    }
    let excluded = option.options.iter().find_map(|option| match option {
        DhcpOption::PdExclude { prefix_length, subnet } => excluded(prefix, prefix_length, subnet),
        _ => None,
    });
    Some(Lease {
        what: Leased::Prefix { prefix, excluded },
        preferred: option.preferred,
        valid: option.valid,
    })
}

/// Neither unspecified, loopback, link-local nor multicast.
fn is_usable(address: Ipv6Addr) -> bool {
    !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_unicast_link_local()
}

/// The excluded prefix: the delegated one, and behind it the subnet bits, which stand left-aligned in the option
/// (RFC 6603 section 4.2).
fn excluded(delegated: Ipv6Net, length: u8, subnet: &[u8]) -> Option<Ipv6Net> {
    let behind = length.checked_sub(delegated.prefix_len()).filter(|&bits| bits > 0 && length <= 128)?;
    if subnet.len() != usize::from(behind).div_ceil(8) {
        return None;
    }
    let bits = subnet.iter().fold(0u128, |bits, &octet| (bits << 8) | u128::from(octet));
    // Left-aligned in the 128 bits, then moved behind the delegated prefix.
    let aligned = bits.checked_shl(128 - 8 * u32::try_from(subnet.len()).ok()?)?;
    let placed = aligned >> delegated.prefix_len();
    let net = Ipv6Net::new(Ipv6Addr::from(u128::from(delegated.addr()) | placed), length).ok()?;
    Some(net.trunc())
}

/// The key for Reconfigure in a Reply: protocol 3, HMAC-MD5, a counter, and information of type 1 (RFC 9915
/// section 20.4).
fn reconfigure_key(auth: &Authentication<'_>) -> Option<ReconfigureKey> {
    let (&kind, key) = auth.information().split_first()?;
    let known = auth.protocol() == Authentication::RECONFIGURE_KEY
        && auth.algorithm() == 1
        && auth.replay_method() == 0;
    (known && kind == 1).then_some(ReconfigureKey { key: key.try_into().ok()?, replay: auth.replay() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_prefixes_as_rfc_6603_encodes_them() {
        let cases: &[(&str, u8, &[u8], Option<&str>)] = &[
            ("2001:db8:dead:be00::/56", 64, &[0xef], Some("2001:db8:dead:beef::/64")),
            ("2001:db8:dead::/48", 64, &[0xbe, 0xef], Some("2001:db8:dead:beef::/64")),
            ("2001:db8:dead:b000::/52", 64, &[0xee, 0xf0], Some("2001:db8:dead:beef::/64")),
            ("2001:db8:dead:b000::/59", 60, &[0x80], Some("2001:db8:dead:b010::/60")),
            ("2001:db8::/32", 128, &[0xff; 12], Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128")),
            // Not longer than the delegated prefix; wrong number of octets.
            ("2001:db8:dead:be00::/56", 56, &[0xef], None),
            ("2001:db8:dead:be00::/56", 48, &[0xef], None),
            ("2001:db8:dead:be00::/56", 64, &[0xef, 0], None),
            ("2001:db8:dead:be00::/56", 200, &[0xef; 18], None),
        ];
        for &(delegated, length, subnet, expected) in cases {
            let found = excluded(delegated.parse().unwrap(), length, subnet);
            assert_eq!(found, expected.map(|e| e.parse().unwrap()), "{delegated} {length}");
        }
    }
}
