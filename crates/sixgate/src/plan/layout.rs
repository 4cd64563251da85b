//! Which server gives what.

use super::input::{Input, PlanError, Scheme, Subnet};
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// One server of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    /// None where no other server serves the same links.
    pub(super) preference: Option<u8>,
    pub(super) subnets: Vec<Subnet>,
}

/// Lays the subnets over the servers.
pub(super) fn lay_out(input: &Input) -> Result<Vec<Server>, PlanError> {
    let count = input.servers.len();
    let servers = input.servers.iter().enumerate();
    servers
        .map(|(number, name)| {
            let subnets = match input.scheme {
                Scheme::Divide => {
                    let at = |number: usize| input.subnets.len() * number / count;
                    let own = input.subnets.get(at(number)..at(number + 1)).unwrap_or_default();
                    own.iter().map(whole).collect()
                }
                scheme => input
                    .subnets
                    .iter()
                    .map(|subnet| share(subnet, scheme, number, count))
                    .collect::<Result<_, _>>()?,
            };
            let alone = input.scheme == Scheme::Divide || count == 1;
            // The first is taken at once, without waiting for others; each after it by half as much (RFC 9915 section 18.2.9).
            let preference = (!alone).then(|| 255_u8.checked_shr(number as u32).unwrap_or(0));
            Ok(Server { name: name.clone(), preference, subnets })
        })
        .collect()
}

/// All of a subnet.
fn whole(subnet: &Subnet) -> Subnet {
    Subnet { pools: subnet.prefixes.clone(), ..subnet.clone() }
}

/// One server's share of a subnet.
fn share(subnet: &Subnet, scheme: Scheme, number: usize, count: usize) -> Result<Subnet, PlanError> {
    let own = |nets: &[Ipv6Net]| -> Vec<Ipv6Net> {
        nets.iter().enumerate().filter(|(at, _)| at % count == number).map(|(_, net)| *net).collect()
    };
    let cut = |nets: &[Ipv6Net], longest: u8, length: Option<u8>| -> Result<Vec<Ipv6Net>, PlanError> {
        let uncuttable = |prefix: Ipv6Net| PlanError::Uncuttable { prefix, parts: count, length };
        let parts = nets.iter().map(|net| parts(*net, count, longest).ok_or_else(|| uncuttable(*net)));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.iter().flat_map(|parts| own(parts)).collect())
    };
    let length = subnet.delegate_length.unwrap_or(64).min(64);
    let delegate_from = match scheme {
        Scheme::Unique if subnet.delegate_from.len() >= count => own(&subnet.delegate_from),
        Scheme::Identical => match subnet.delegate_from.first() {
            Some(prefix) if count > 1 => return Err(PlanError::Delegation { prefix: *prefix }),
            _ => subnet.delegate_from.clone(),
        },
        _ => cut(&subnet.delegate_from, length, Some(length))?,
    };
    let pools = match scheme {
        Scheme::Split => cut(&subnet.prefixes, 120, None)?,
        Scheme::Unique if subnet.prefixes.len() < count => {
            let named = || subnet.prefixes.first().map(ToString::to_string);
            let subnet_name = subnet.name.clone().or_else(named).unwrap_or_default();
            return Err(PlanError::TooFew {
                subnet: subnet_name,
                count: subnet.prefixes.len(),
                servers: count,
            });
        }
        Scheme::Unique => own(&subnet.prefixes),
        Scheme::Identical | Scheme::Divide => subnet.prefixes.clone(),
    };
    Ok(Subnet { pools, delegate_from, ..subnet.clone() })
}

/// A prefix cut into equal parts, as many as there are servers or the next power of two; none where they would be longer than
/// `longest`.
fn parts(net: Ipv6Net, servers: usize, longest: u8) -> Option<Vec<Ipv6Net>> {
    let bits = servers.next_power_of_two().ilog2() as u8;
    let length = net.prefix_len().checked_add(bits).filter(|length| *length <= longest)?;
    let part = |number: u128| {
        let shifted = if bits == 0 { 0 } else { number << (128 - length) };
        Ipv6Net::new(Ipv6Addr::from(u128::from(net.network()) | shifted), length).ok()
    };
    (0..1_u128 << bits).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().expect("a prefix")
    }

    fn subnet(prefixes: &[&str], delegate_from: &[&str]) -> Subnet {
        Subnet {
            name: None,
            prefixes: prefixes.iter().map(|text| net(text)).collect(),
            pools: Vec::new(),
            delegate_from: delegate_from.iter().map(|text| net(text)).collect(),
            delegate_length: Some(56),
        }
    }

    fn planned(scheme: Scheme, servers: usize, subnets: Vec<Subnet>) -> Result<Vec<Server>, PlanError> {
        lay_out(&Input {
            servers: (0..servers).map(|number| format!("s{number}")).collect(),
            scheme,
            interface: "eth0".to_owned(),
            relays: vec![net("2001:db8:ff::/48")],
            clients: None,
            lease: 86_400,
            subnets,
        })
    }

    /// What the servers give overlaps nowhere, and nothing is left over.
    fn assert_partition(servers: &[Server], whole: &[Ipv6Net], pick: impl Fn(&Subnet) -> &Vec<Ipv6Net>) {
        let mut all: Vec<Ipv6Net> = servers
            .iter()
            .flat_map(|server| &server.subnets)
            .flat_map(|subnet| pick(subnet).clone())
            .collect();
        all.sort();
        for pair in all.windows(2) {
            assert!(!pair[0].contains(&pair[1]), "{} and {}", pair[0], pair[1]);
        }
        assert_eq!(Ipv6Net::aggregate(&all), Ipv6Net::aggregate(&whole.to_vec()));
    }

    #[test]
    fn each_address_and_each_prefix_is_one_servers_but_where_all_are_alike() {
        for servers in 1..=7 {
            let subnets: Vec<Subnet> = (0..10)
                .map(|number| {
                    let prefixes: Vec<String> =
                        (0..7).map(|which| format!("2001:db8:{number}:{which}::/64")).collect();
                    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
                    subnet(&prefixes, &[&format!("2001:db8:{number}00::/40")[..]])
                })
                .collect();
            let prefixes: Vec<Ipv6Net> = subnets.iter().flat_map(|subnet| subnet.prefixes.clone()).collect();
            for scheme in [Scheme::Divide, Scheme::Split, Scheme::Unique] {
                let plan = planned(scheme, servers, subnets.clone()).expect("a plan");
                assert_eq!(plan.len(), servers);
                assert_partition(&plan, &prefixes, |subnet| &subnet.pools);
                let distinct: Vec<Ipv6Net> =
                    subnets.iter().flat_map(|subnet| subnet.delegate_from.clone()).collect();
                if scheme == Scheme::Divide {
                    let sizes: Vec<usize> = plan.iter().map(|server| server.subnets.len()).collect();
                    assert!(
                        sizes.iter().max() <= sizes.iter().min().map(|least| least + 1).as_ref(),
                        "{sizes:?}"
                    );
                } else {
                    assert_partition(&plan, &distinct, |subnet| &subnet.delegate_from);
                }
            }
        }
    }

    #[test]
    fn preferences_fall_where_servers_share_links() {
        let preferences = |scheme, servers| {
            let subnets = vec![subnet(&["2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:3::/64"], &[])];
            let plan = planned(scheme, servers, subnets).expect("a plan");
            plan.iter().map(|server| server.preference).collect::<Vec<_>>()
        };
        assert_eq!(preferences(Scheme::Split, 3), [Some(255), Some(127), Some(63)]);
        assert_eq!(preferences(Scheme::Split, 1), [None]);
        assert_eq!(preferences(Scheme::Divide, 2), [None, None]);
        assert_eq!(preferences(Scheme::Identical, 2), [Some(255), Some(127)]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        let told = |scheme, subnets| planned(scheme, 2, subnets).expect_err("no plan").to_string();
        let delegating = || vec![subnet(&["2001:db8:1::/64"], &["2001:db8:100::/56"])];
        assert!(told(Scheme::Identical, delegating()).contains("servers that do not know of each other"));
        assert!(
            told(Scheme::Split, delegating())
                .contains("cannot be cut into 2 parts of which prefixes of 56 bits")
        );
        assert!(told(Scheme::Unique, vec![subnet(&["2001:db8:1::/64"], &[])]).contains("has 1 prefixes"));
        assert!(
            told(Scheme::Split, vec![subnet(&["2001:db8::1/128"], &[])])
                .contains("cannot be cut into 2 parts")
        );
    }
}
