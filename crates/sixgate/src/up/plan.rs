//! Which prefix goes where: cuts what the ISP delegated into a /64 for each LAN, and keeps the rest for routers behind
//! the LANs (RFC 7084 L-2, RFC 9818).

use crate::config::Lan;
use ipnet::Ipv6Net;
use std::time::Duration;

/// A prefix that the ISP delegated, with absolute times since the epoch; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delegated {
    pub(crate) prefix: Ipv6Net,
    /// What stays with the ISP's link (RFC 6603).
    pub(crate) excluded: Option<Ipv6Net>,
    pub(crate) preferred_until: Duration,
    pub(crate) valid_until: Duration,
}

/// A /64 on a LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LanPrefix {
    pub(crate) net: Ipv6Net,
    pub(crate) preferred_until: Duration,
    pub(crate) valid_until: Duration,
}

/// Space from which routers on a LAN are given prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) prefix: Ipv6Net,
    /// Parts of it that are never given.
    pub(crate) reserved: Vec<Ipv6Net>,
    pub(crate) preferred_until: Duration,
    pub(crate) valid_until: Duration,
}

/// What one LAN has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) prefixes: Vec<LanPrefix>,
    pub(crate) pools: Vec<Pool>,
}

/// The shares, in the order of the LANs, and what could not be given, as sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) shares: Vec<Share>,
    pub(crate) problems: Vec<String>,
}

/// Divides `delegated` among `lans`.
pub(crate) fn plan(delegated: &[Delegated], lans: &[Lan]) -> Plan {
    let mut plan = Plan { shares: lans.iter().map(fixed).collect(), problems: Vec::new() };
    for from in delegated {
        let mut reserved: Vec<Ipv6Net> = from.excluded.into_iter().collect();
        for (lan, share) in lans.iter().zip(&mut plan.shares) {
            match subnet(from.prefix, number(from, lan, lans)) {
                Some(net) if from.excluded.is_none_or(|excluded| !overlap(&excluded, &net)) => {
                    let (preferred_until, valid_until) = (from.preferred_until, from.valid_until);
                    share.prefixes.push(LanPrefix { net, preferred_until, valid_until });
                    reserved.push(net);
                }
                Some(net) => plan.problems.push(format!(
                    "LAN {}: its subnet {net} is kept by the ISP (RFC 6603); give the LAN another subnet number",
                    lan.name
                )),
                None => plan.problems.push(format!(
                    "LAN {}: {} has room for {} LAN(s) and this one is subnet {}; ask the ISP for a shorter prefix \
                     (uplink.prefix-length), or give the LAN prefixes of its own",
                    lan.name,
                    from.prefix,
                    rooms(from.prefix),
                    lan.subnet
                )),
            }
        }
        // A /64 taken by a LAN leaves nothing to delegate.
        if from.prefix.prefix_len() < 64 {
            for (lan, share) in lans.iter().zip(&mut plan.shares) {
                if lan.delegate && lan.delegate_from.is_empty() {
                    share.pools.push(Pool {
                        prefix: from.prefix,
                        reserved: reserved.clone(),
                        preferred_until: from.preferred_until,
                        valid_until: from.valid_until,
                    });
                }
            }
        }
    }
    plan
}

/// Which /64 of `from` a LAN takes: its number, unless that was only counted and the ISP keeps it, as many keep the first. Then
/// the first free one behind all that were counted, so that no other LAN moves.
fn number(from: &Delegated, lan: &Lan, lans: &[Lan]) -> u64 {
    let kept = |number| {
        let net = subnet(from.prefix, number);
        from.excluded.zip(net).is_some_and(|(excluded, net)| overlap(&excluded, &net))
    };
    if lan.subnet_written || !kept(lan.subnet) {
        return lan.subnet;
    }
    // Each of the LANs before it that had to move as well took one.
    let before = lans.iter().take_while(|other| other.name != lan.name);
    let moved = before.filter(|other| !other.subnet_written && kept(other.subnet)).count();
    (lans.len() as u64..rooms(from.prefix))
        .take(1 << 16)
        .filter(|number| !kept(*number) && !lans.iter().any(|other| other.subnet == *number))
        .nth(moved)
        .unwrap_or(lan.subnet)
}

/// What the configuration itself gives a LAN.
fn fixed(lan: &Lan) -> Share {
    let for_ever =
        |net: &Ipv6Net| LanPrefix { net: *net, preferred_until: Duration::MAX, valid_until: Duration::MAX };
    let pool = |net: &Ipv6Net| Pool {
        prefix: *net,
        reserved: Vec::new(),
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
    };
    Share {
        prefixes: lan.prefixes.iter().map(for_ever).collect(),
        pools: if lan.delegate { lan.delegate_from.iter().map(pool).collect() } else { Vec::new() },
    }
}

/// `prefix` without what the ISP keeps of it, in as few parts as there are. Hosts in the excluded part live on the ISP's
/// link (RFC 6603 section 4.2): nothing that holds for what is behind us holds for them.
pub(crate) fn without(prefix: Ipv6Net, excluded: Option<Ipv6Net>) -> Vec<Ipv6Net> {
    let Some(excluded) = excluded.filter(|excluded| prefix.contains(excluded)) else { return vec![prefix] };
    // On the way down to the excluded part, the half that it is not in is ours.
    let other_half = |length: u8| {
        let bits = u128::from(excluded.network()) ^ 1u128.checked_shl(u32::from(128 - length))?;
        Ipv6Net::new(bits.into(), length).ok().map(|net| net.trunc())
    };
    (prefix.prefix_len() + 1..=excluded.prefix_len()).filter_map(other_half).collect()
}

/// The `number`th /64 of `prefix`.
fn subnet(prefix: Ipv6Net, number: u64) -> Option<Ipv6Net> {
    (prefix.prefix_len() <= 64 && number < rooms(prefix)).then(|| {
        let bits = u128::from(prefix.network()) | (u128::from(number) << 64);
        Ipv6Net::new(bits.into(), 64).unwrap_or(prefix)
    })
}

/// How many /64s `prefix` holds.
fn rooms(prefix: Ipv6Net) -> u64 {
    64u8.checked_sub(prefix.prefix_len())
        .map_or(0, |bits| 1u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX))
}

fn overlap(a: &Ipv6Net, b: &Ipv6Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn lans(text: &str) -> Vec<Lan> {
        let text = format!("[uplink]\ninterface = \"wan0\"\n{text}");
        Config::parse(Path::new("t"), &text).unwrap().config.lans
    }

    fn delegated(prefix: &str) -> Delegated {
        Delegated {
            prefix: prefix.parse().unwrap(),
            excluded: None,
            preferred_until: Duration::from_secs(100),
            valid_until: Duration::from_secs(200),
        }
    }

    const TWO: &str = "[[lan]]\ninterface = \"a\"\n[[lan]]\ninterface = \"b\"\nsubnet = 16\n";

    #[test]
    fn each_lan_takes_its_own_64_and_the_rest_is_delegated() {
        let plan = plan(&[delegated("2001:db8:0:100::/56")], &lans(TWO));
        assert!(plan.problems.is_empty());
        let nets: Vec<String> =
            plan.shares.iter().flat_map(|s| &s.prefixes).map(|p| p.net.to_string()).collect();
        assert_eq!(nets, ["2001:db8:0:100::/64", "2001:db8:0:110::/64"]);
        assert_eq!(plan.shares[1].pools.len(), 1);
        assert_eq!(plan.shares[1].pools[0].reserved.len(), 2);
        assert_eq!(plan.shares[0].prefixes[0].valid_until, Duration::from_secs(200));
    }

    #[test]
    fn a_single_64_serves_one_lan_and_says_so() {
        let plan = plan(&[delegated("2001:db8::/64")], &lans(TWO));
        assert_eq!(plan.shares[0].prefixes.len(), 1);
        assert!(plan.shares[1].prefixes.is_empty() && plan.shares[0].pools.is_empty());
        assert_eq!(plan.problems.len(), 1);
        assert!(plan.problems[0].contains("room for 1 LAN(s)"), "{}", plan.problems[0]);
    }

    #[test]
    fn what_the_isp_excludes_is_not_used() {
        let mut from = delegated("2001:db8::/60");
        from.excluded = Some("2001:db8::/64".parse().unwrap());
        // Counted numbers make way, the others stay where they are; a number that was written down does not.
        let three = "[[lan]]\ninterface = \"a\"\n[[lan]]\ninterface = \"b\"\n[[lan]]\ninterface = \"c\"\nsubnet = 3\n";
        let moved = super::plan(&[from], &lans(three));
        let nets: Vec<String> = moved.shares.iter().map(|share| share.prefixes[0].net.to_string()).collect();
        assert_eq!(nets, ["2001:db8:0:4::/64", "2001:db8:0:1::/64", "2001:db8:0:3::/64"]);
        assert!(moved.problems.is_empty());
        let plan = plan(&[from], &lans("[[lan]]\ninterface = \"a\"\nsubnet = 0\n"));
        assert!(plan.shares[0].prefixes.is_empty());
        assert_eq!(plan.shares[0].pools[0].reserved, ["2001:db8::/64".parse().unwrap()]);
        assert_eq!(plan.problems.len(), 1);
    }

    #[test]
    fn what_is_left_beside_the_excluded_part() {
        let left = |prefix: &str, excluded: Option<&str>| -> Vec<String> {
            let excluded = excluded.map(|excluded| excluded.parse().unwrap());
            without(prefix.parse().unwrap(), excluded).iter().map(Ipv6Net::to_string).collect()
        };
        assert_eq!(left("2001:db8::/60", None), ["2001:db8::/60"]);
        assert_eq!(left("2001:db8::/60", Some("2001:db8:0:100::/64")), ["2001:db8::/60"]);
        assert_eq!(
            left("2001:db8::/60", Some("2001:db8:0:5::/64")),
            ["2001:db8:0:8::/61", "2001:db8::/62", "2001:db8:0:6::/63", "2001:db8:0:4::/64"]
        );
        assert_eq!(left("::/0", Some("8000::/1")), ["::/1"]);
        assert!(left("2001:db8::/60", Some("2001:db8::/60")).is_empty());
    }

    #[test]
    fn two_delegations_give_two_prefixes() {
        let plan = plan(&[delegated("2001:db8::/56"), delegated("2001:db8:f::/56")], &lans(TWO));
        assert_eq!(plan.shares[1].prefixes.len(), 2);
    }
}
