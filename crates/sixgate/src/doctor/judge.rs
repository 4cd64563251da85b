//! What was seen, judged: findings in the order in which they are to be mended. No socket, no clock.

mod path;
mod place;
mod portal;
mod software;

pub(crate) use place::{Place, responsible};

use super::seen::{Asked, Router, Seen};
use serde::{Deserialize, Serialize};
use sixgate_measure::stats::{percentile, sorted};

/// How bad a finding is. The order is that of the choice by --fail-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Good to know.
    Note,
    /// Something works less well than it could, or for fewer.
    Warning,
    /// Something does not work.
    Error,
}

/// Something that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A name that stays the same from version to version.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) what: String,
    /// What was seen.
    pub(crate) evidence: String,
    /// Why it matters.
    pub(crate) why: &'static str,
    /// How it is mended, and by whom.
    pub(crate) remedy: &'static str,
}

/// A resolver that takes longer for a name that it knows, in milliseconds.
const SLOW_MS: f64 = 100.0;
/// Waiting that is a fault and not only worth a warning, in milliseconds.
const BLOAT_MS: f64 = 100.0;
/// Octets that every link of IPv6 carries (RFC 8200 section 5).
const LEAST_MTU: u32 = 1280;
/// Lifetimes of RFC 4861 section 6.2.1, in seconds: a month and a week.
const DEFAULT_VALID: u32 = 2_592_000;

/// All findings: what keeps most from working first, and of those, what is nearest.
pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    let good: Vec<&Router> = seen.routers.iter().filter(|router| router.invalid.is_none()).collect();
    let mut add = |finding: Option<Finding>| findings.extend(finding);
    add(no_router(seen, &good));
    add(conflict(&good));
    add(no_prefix(seen, &good));
    add(hidden(seen));
    add(black_hole(seen));
    add(no_resolver(seen, &good));
    silent_resolvers(seen).into_iter().for_each(&mut add);
    add(option_108(seen, &good));
    flags(seen, &good).into_iter().for_each(&mut add);
    add(path::bloat(seen));
    add(path::loss(seen));
    add(no_rdnss(seen, &good));
    add(no_pref64(seen, &good));
    add(no_ipv4_way(seen, &good));
    add(mtu(seen, &good));
    add(slow_resolver(seen));
    add(lifetimes(&good));
    add(invalid(seen));
    software::old(seen).into_iter().for_each(&mut add);
    portal::portal(seen).into_iter().for_each(&mut add);
    // Within a severity the order above stays.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn names<'a>(routers: impl IntoIterator<Item = &'a &'a Router>) -> String {
    routers.into_iter().map(|router| router.address.as_str()).collect::<Vec<_>>().join(", ")
}

fn defaults<'a>(routers: &[&'a Router]) -> Vec<&'a Router> {
    routers.iter().copied().filter(|router| router.lifetime > 0).collect()
}

fn no_router(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    if !defaults(routers).is_empty() {
        return None;
    }
    let evidence = if routers.is_empty() {
        "two Router Solicitations, and no advertisement within 4.5 s".to_owned()
    } else {
        format!("{} advertises with router lifetime 0: it is no way out", names(routers))
    };
    Some(Finding {
        id: "no-router",
        severity: Severity::Error,
        what: format!("no router offers a way out on {}", seen.interface),
        evidence,
        why: "without a router advertisement a host has no IPv6 but link-local addresses (RFC 4861, RFC 4862)",
        remedy: "start router advertisements on the gateway (radvd, `sixgate up`); on a switch, look for RA guard or MLD snooping that eats them",
    })
}

/// Several default routers that say different things of the same link.
fn conflict(routers: &[&Router]) -> Option<Finding> {
    let defaults = defaults(routers);
    let (first, others) = defaults.split_first()?;
    let prefixes = |router: &Router| {
        let mut all: Vec<(String, bool)> = router
            .prefixes
            .iter()
            .filter(|prefix| prefix.preferred > 0)
            .map(|prefix| (prefix.prefix.clone(), prefix.autonomous))
            .collect();
        all.sort();
        all
    };
    let other = others.iter().find(|other| {
        let flags = (other.managed, other.other) != (first.managed, first.other);
        flags || other.mtu != first.mtu || prefixes(other) != prefixes(first) || other.pref64 != first.pref64
    })?;
    let told = |router: &Router| {
        let prefixes: Vec<&str> = router.prefixes.iter().map(|prefix| prefix.prefix.as_str()).collect();
        let rdnss: Vec<&str> = router.rdnss.iter().map(|(address, _)| address.as_str()).collect();
        format!(
            "{} says: prefixes {}, resolvers {}, M {}, O {}, MTU {}, preference {}",
            router.address,
            if prefixes.is_empty() { "none".to_owned() } else { prefixes.join(" ") },
            if rdnss.is_empty() { "none".to_owned() } else { rdnss.join(" ") },
            u8::from(router.managed),
            u8::from(router.other),
            router.mtu.map_or_else(|| "none".to_owned(), |mtu| mtu.to_string()),
            router.preference
        )
    };
    Some(Finding {
        id: "routers-disagree",
        severity: Severity::Error,
        what: "several routers advertise, and they do not say the same: one of them may be rogue".to_owned(),
        evidence: format!("{}; {}", told(first), told(other)),
        why: "hosts take addresses of both and send by either; an unmeant or hostile router gets their traffic (RFC 6104)",
        remedy: "find the one that should not be there by its link-local address (`ip neigh`, the switch's table), switch it off, and have RA guard on the switch (RFC 6105); two that are meant advertise the same, or each its own with source routing (RFC 8028)",
    })
}

fn no_prefix(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let has = routers
        .iter()
        .any(|router| router.prefixes.iter().any(|prefix| prefix.autonomous && prefix.valid > 0));
    let managed = routers.iter().any(|router| router.managed);
    if routers.is_empty() || has || managed || seen.global_address {
        return None;
    }
    Some(Finding {
        id: "no-prefix",
        severity: Severity::Error,
        what: "no way to an address: no prefix to form one of, and no DHCPv6 for addresses".to_owned(),
        evidence: format!("{}: no prefix with flag A, M is 0", names(routers)),
        why: "hosts get no IPv6 address of global scope (RFC 4862, RFC 9915)",
        remedy: "advertise a /64 with flag A; if the router waits for a prefix from the ISP, look there (DHCPv6-PD)",
    })
}

fn hidden(seen: &Seen) -> Option<Finding> {
    let target = seen.target.as_ref()?;
    let six = target.ipv6.as_ref()?;
    let why = six.why.as_ref()?;
    let four = target.ipv4.as_ref().is_some_and(|four| four.ms.is_some());
    let (id, what) = if four {
        ("ipv6-hidden", format!("IPv6 to {} is broken, and IPv4 hides it", target.name))
    } else {
        ("ipv6-broken", format!("{} cannot be reached over IPv6", target.name))
    };
    Some(Finding {
        id,
        severity: Severity::Error,
        what,
        evidence: why.clone(),
        why: "programs that try both families (RFC 8305) go on over IPv4 and nobody notices, until IPv4 goes; others wait at each connection",
        remedy: "`sixgate measure path` to the target shows the hop behind which it ends; most often a firewall or a missing route back to the prefix",
    })
}

fn black_hole(seen: &Seen) -> Option<Finding> {
    // Where packets of all sizes are lost, three that are missing say nothing of their size.
    if path::losing(seen).is_some() {
        return None;
    }
    let target = seen.target.as_ref().and_then(|target| Some((target.name.as_str(), target.pmtu?)));
    let path = seen.path.as_ref().map(|path| (path.to.as_str(), path.pmtu));
    let (to, pmtu) = [target, path]
        .into_iter()
        .flatten()
        .find(|(_, pmtu)| pmtu.black_hole.is_some() && pmtu.works.is_some())?;
    let (works, hole) = (pmtu.works?, pmtu.black_hole?);
    Some(Finding {
        id: "mtu-black-hole",
        severity: Severity::Error,
        what: format!("large packets to {to} vanish"),
        evidence: format!("{works} octets pass, {hole} do not (three tries), and no Packet Too Big came"),
        why: "connections open and then hang as soon as much is sent (RFC 2923): IPv6 routers do not fragment, their ICMPv6 is how senders learn the size",
        remedy: "let ICMPv6 Packet Too Big through every firewall on the way (RFC 4890 section 4.3.1); until then advertise an MTU that passes, or clamp TCP's MSS",
    })
}

/// No resolver over IPv6 at all.
fn no_resolver(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    if routers.is_empty() || !seen.resolvers.is_empty() {
        return None;
    }
    let mut four = seen.ipv4_resolvers.clone();
    four.extend(seen.dhcpv4.answer().into_iter().flat_map(|answer| answer.resolvers.clone()));
    let by_v4 =
        if four.is_empty() { String::new() } else { format!("; over IPv4 there are {}", four.join(", ")) };
    Some(Finding {
        id: "no-ipv6-resolver",
        severity: Severity::Error,
        what: "there is no resolver over IPv6".to_owned(),
        evidence: format!(
            "no RDNSS in advertisements of {}, none by DHCPv6, none in resolv.conf{by_v4}",
            names(routers)
        ),
        why: "a host without IPv4 can resolve no name (RFC 8106 section 1)",
        remedy: "advertise a resolver (RDNSS, RFC 8106), and let it listen on IPv6",
    })
}

fn silent_resolvers(seen: &Seen) -> Vec<Option<Finding>> {
    let silent = seen.resolvers.iter().filter(|resolver| resolver.answers_ms.is_empty());
    let others = seen.resolvers.iter().any(|resolver| !resolver.answers_ms.is_empty());
    silent
        .map(|resolver| {
            Some(Finding {
                id: "resolver-silent",
                severity: if others { Severity::Warning } else { Severity::Error },
                what: format!(
                    "the resolver {} {} over IPv6",
                    resolver.address,
                    if resolver.refuses { "refuses to answer" } else { "does not answer" }
                ),
                evidence: format!(
                    "told by {}; {} questions, {}",
                    resolver.told_by,
                    resolver.asked,
                    if resolver.refuses { "all refused" } else { "no answer" }
                ),
                why: "hosts that ask it first wait for seconds at each name, or resolve none",
                remedy: "let it listen on the address that is told (`ss -lun` there), open port 53 for the LAN, or stop telling of it",
            })
        })
        .collect()
}

/// Whether names of IPv4-only hosts, or a prefix, show a NAT64.
fn has_nat64(seen: &Seen, routers: &[&Router]) -> bool {
    routers.iter().any(|router| router.pref64.as_ref().is_some_and(|(_, lifetime)| *lifetime > 0))
        || seen.resolvers.iter().any(|resolver| !resolver.dns64.is_empty())
}

fn option_108(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let answer = seen.dhcpv4.answer()?;
    let wait = answer.ipv6_only?;
    if has_nat64(seen, routers) {
        return None;
    }
    Some(Finding {
        id: "option-108-without-nat64",
        severity: Severity::Error,
        what: "hosts are told to do without IPv4, and there is no NAT64 to reach it by".to_owned(),
        evidence: format!(
            "{} offers option 108 with V6ONLY_WAIT {wait} s; no PREF64, no DNS64",
            answer.server
        ),
        why: "phones and laptops switch their IPv4 off and lose what has IPv4 alone (RFC 8925 section 4.2)",
        remedy: "give the network a NAT64 and advertise its prefix (PREF64, RFC 8781), or take option 108 away",
    })
}

/// M and O against what DHCPv6 really answers.
fn flags(seen: &Seen, routers: &[&Router]) -> Vec<Option<Finding>> {
    let wanting: Vec<&&Router> = routers.iter().filter(|router| router.managed || router.other).collect();
    let silent = match &seen.dhcpv6 {
        Asked::Silence if !wanting.is_empty() => {
            let managed = wanting.iter().any(|router| router.managed);
            Some(Finding {
                id: "dhcpv6-silent",
                severity: if managed { Severity::Error } else { Severity::Warning },
                what: "hosts are sent to DHCPv6, and nobody answers there".to_owned(),
                evidence: format!(
                    "{}: M {}, O {}; three Information-requests, no Reply",
                    names(wanting.iter().copied()),
                    u8::from(managed),
                    u8::from(wanting.iter().any(|router| router.other))
                ),
                why: "they ask for ever, and what only DHCPv6 would tell them is missing (RFC 4861 section 4.2)",
                remedy: "start the DHCPv6 server or relay of this LAN, open UDP port 547 there, or clear M and O in the advertisements",
            })
        }
        _ => None,
    };
    let unannounced = match &seen.dhcpv6 {
        Asked::Answer(answer) if !routers.is_empty() && wanting.is_empty() => Some(Finding {
            id: "dhcpv6-unannounced",
            severity: Severity::Warning,
            what: "a DHCPv6 server answers, and no router sends hosts to it".to_owned(),
            evidence: format!(
                "{} answered an Information-request; M and O are 0 in all advertisements",
                answer.server
            ),
            why: "most hosts do not ask it: what it tells is known to some and not to others",
            remedy: "set O (and M where it leases addresses) in the advertisements, or stop the server; if nobody knows it, it is rogue (RFC 7610)",
        }),
        _ => None,
    };
    vec![silent, unannounced]
}

/// Resolvers only by DHCPv6: not all hosts ask there.
fn no_rdnss(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let told = routers.iter().any(|router| router.rdnss.iter().any(|(_, lifetime)| *lifetime > 0));
    let by_dhcp = seen.dhcpv6.answer().is_some_and(|answer| !answer.resolvers.is_empty());
    if routers.is_empty() || told || (seen.resolvers.is_empty() && !by_dhcp) {
        return None;
    }
    Some(Finding {
        id: "no-rdnss",
        severity: Severity::Warning,
        what: "no resolver is advertised (RDNSS)".to_owned(),
        evidence: format!(
            "advertisements of {} have none; {}",
            names(routers),
            if by_dhcp { "DHCPv6 tells of one" } else { "only this machine's own configuration has one" }
        ),
        why: "hosts without DHCPv6 for configuration, Android among them, get no resolver over IPv6 (RFC 8106)",
        remedy: "add RDNSS to the router advertisements, with the same resolvers",
    })
}

fn no_pref64(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let made = seen.resolvers.iter().find(|resolver| !resolver.dns64.is_empty())?;
    let told = routers.iter().any(|router| router.pref64.as_ref().is_some_and(|(_, lifetime)| *lifetime > 0));
    (!told && !routers.is_empty()).then(|| Finding {
        id: "no-pref64",
        severity: Severity::Warning,
        what: "there is a NAT64, and its prefix is not advertised (PREF64)".to_owned(),
        evidence: format!(
            "{} answers ipv4only.arpa with {}; advertisements of {} have no PREF64",
            made.address,
            made.dns64.join(", "),
            names(routers)
        ),
        why: "hosts that validate DNSSEC, use another resolver, or have programs with IPv4 addresses need the prefix for their own translation (RFC 8781)",
        remedy: "add the PREF64 option to the router advertisements (radvd: nat64prefix; `sixgate up`: [nat64])",
    })
}

fn no_ipv4_way(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let offered = seen.dhcpv4.answer().is_some();
    // A network without a way out has other worries.
    if seen.ipv4
        || offered
        || has_nat64(seen, routers)
        || matches!(seen.dhcpv4, Asked::Never)
        || !asks_far(seen)
    {
        return None;
    }
    Some(Finding {
        id: "no-way-to-ipv4",
        severity: Severity::Warning,
        what: "hosts that have IPv4 alone cannot be reached from here".to_owned(),
        evidence: "no IPv4 address is offered, no PREF64 is advertised, no resolver makes addresses (DNS64)"
            .to_owned(),
        why: "about half of all names have IPv4 alone",
        remedy: "a NAT64 with DNS64 and PREF64 (RFC 6146, RFC 6147, RFC 8781), here or at the ISP, or IPv4 beside",
    })
}

/// Whether the user wants more than the link looked at: what a LAN on its own lacks beyond, it may lack on purpose.
fn asks_far(seen: &Seen) -> bool {
    seen.target.is_some()
}

fn mtu(seen: &Seen, routers: &[&Router]) -> Option<Finding> {
    let wrong = routers.iter().find_map(|router| {
        let mtu = router.mtu?;
        (mtu < LEAST_MTU || mtu > seen.mtu).then_some((router, mtu))
    })?;
    let (router, mtu) = wrong;
    Some(Finding {
        id: "advertised-mtu",
        severity: Severity::Warning,
        what: format!("the advertised MTU of {mtu} octets is not possible on this link"),
        evidence: format!(
            "{} advertises {mtu}; {} carries {}, and no link fewer than {LEAST_MTU}",
            router.address, seen.interface, seen.mtu
        ),
        why: "hosts ignore it (RFC 4861 section 6.3.4), or send packets that vanish",
        remedy: "advertise the least MTU of the link's hosts, or none",
    })
}

fn slow_resolver(seen: &Seen) -> Option<Finding> {
    let median = |times: &[f64]| percentile(&sorted(times), 50.0);
    let slow = seen.resolvers.iter().find(|resolver| median(&resolver.answers_ms) > SLOW_MS)?;
    Some(Finding {
        id: "resolver-slow",
        severity: Severity::Warning,
        what: format!(
            "the resolver {} takes {:.0} ms for a name that it knows",
            slow.address,
            median(&slow.answers_ms)
        ),
        evidence: format!("{} answers to the same question", slow.answers_ms.len()),
        why: "every first contact waits for it, some pages dozens of times",
        remedy: "use a resolver that is nearer, or a cache on the gateway",
    })
}

fn lifetimes(routers: &[&Router]) -> Option<Finding> {
    let found = routers.iter().find_map(|router| {
        let wrong = router.prefixes.iter().find(|prefix| prefix.preferred > prefix.valid)?;
        Some((router, wrong, "it is longer preferred than valid: hosts ignore it (RFC 4862 section 5.5.3)"))
    });
    let long = routers.iter().find_map(|router| {
        let long = router.prefixes.iter().find(|prefix| prefix.valid >= DEFAULT_VALID)?;
        Some((router, long, "for a prefix that the ISP may change, that is a month of addresses that do not work (RFC 9096 section 3.4)"))
    });
    let (severity, (router, prefix, why)) =
        found.map(|found| (Severity::Warning, found)).or(long.map(|long| (Severity::Note, long)))?;
    Some(Finding {
        id: "lifetimes",
        severity,
        what: format!("the lifetimes of {} are doubtful", prefix.prefix),
        evidence: format!("{}: valid {} s, preferred {} s", router.address, prefix.valid, prefix.preferred),
        why,
        remedy: "preferred 45 minutes and valid 90 minutes are what RFC 9096 recommends where the prefix comes from an ISP",
    })
}

fn invalid(seen: &Seen) -> Option<Finding> {
    let router = seen.routers.iter().find(|router| router.invalid.is_some())?;
    Some(Finding {
        id: "invalid-advertisement",
        severity: Severity::Warning,
        what: format!("{} sends router advertisements that break the rules", router.address),
        evidence: router.invalid.clone().unwrap_or_default(),
        why: "hosts ignore it, or it is an attempt to be taken for a router",
        remedy: "find it by its address (`ip neigh`); RA guard on the switch keeps it out (RFC 6105)",
    })
}

#[cfg(test)]
mod tests;
