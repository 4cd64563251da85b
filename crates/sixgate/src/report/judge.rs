//! Which paragraph of which RFC a host kept, and which it did not, by what was heard of it. What cannot be said is not said: most
//! rules need the moment at which the host came onto the link.

use super::story::{Told, What};
use serde::Serialize;
use sixgate_wire::dhcpv4::MessageType as Kind4;
use sixgate_wire::dhcpv6::MessageType as Kind6;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Frames that are named as evidence of one finding at most.
const EVIDENCE: usize = 8;
/// RFC 4861 section 10, RTR_SOLICITATION_INTERVAL, less what RFC 7559 makes random and clocks are off.
const SOLICITATION: Duration = Duration::from_millis(3_500);
/// RFC 9915 section 7.6, SOL_TIMEOUT and the likes are a second, less the tenth that is random (section 15).
const RETRANSMISSION: Duration = Duration::from_millis(850);
/// What was under way when the host was told to do without IPv4 is no violation.
const CROSSING: Duration = Duration::from_secs(2);
/// RFC 8925 section 3.4: MIN_V6ONLY_WAIT.
const LEAST_WAIT: u32 = 300;
/// So long a host may take from an advertisement to its address: it waits a second at random, then detects duplicates (RFC 4862
/// section 5.4.2).
const FORMING: Duration = Duration::from_secs(5);

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Violated,
    Kept,
    /// Nothing was heard by which it could be told.
    Untold,
}

/// A rule, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) rule: &'static str,
    pub(super) rfc: &'static str,
    /// How strong the RFC's word is.
    pub(super) level: &'static str,
    /// What it asks, in our words.
    pub(super) asks: &'static str,
    pub(super) verdict: Verdict,
    /// Frames of the capture, from 1 on.
    pub(super) frames: Vec<usize>,
}

struct Rule {
    name: &'static str,
    rfc: &'static str,
    level: &'static str,
    asks: &'static str,
    /// Whether there was an occasion, and the frames that speak against the host.
    look: fn(&[Told]) -> (bool, Vec<usize>),
}

const RULES: [Rule; 9] = [
    Rule {
        name: "v6only-stops",
        rfc: "RFC 8925 section 3.2",
        level: "SHOULD",
        asks: "a host that asked for option 108 and was told to do without IPv4 asks for no address until V6ONLY_WAIT is over",
        look: |told| after_v6only(told, |what| matches!(what, What::Dhcp4 { .. })),
    },
    Rule {
        name: "v6only-is-quiet",
        rfc: "RFC 8925 section 3.2",
        level: "SHOULD",
        asks: "a host that was told to do without IPv4 uses none until V6ONLY_WAIT is over",
        look: |told| {
            after_v6only(told, |what| match what {
                What::Arp { sender } => !sender.is_unspecified(),
                What::Dns { version, .. } => *version == 4,
                _ => false,
            })
        },
    },
    Rule {
        name: "duplicates",
        rfc: "RFC 4862 section 5.4",
        level: "MUST",
        asks: "a host looks for duplicates of each of its IPv6 addresses before it uses it",
        look: undetected,
    },
    Rule {
        name: "forms-an-address",
        rfc: "RFC 4862 section 5.5.3, RFC 8504 section 6.3",
        level: "MUST",
        asks: "a host forms an address of a prefix that a router advertises with the A flag and lifetimes above zero",
        look: unformed,
    },
    Rule {
        name: "solicits-calmly",
        rfc: "RFC 4861 section 6.3.7",
        level: "SHOULD",
        asks: "Router Solicitations are four seconds apart",
        look: |told| {
            let solicits = |what: &What| matches!(what, What::RouterSolicitation { .. }).then_some(());
            too_soon(told, SOLICITATION, solicits)
        },
    },
    Rule {
        name: "hop-limit",
        rfc: "RFC 4861 sections 4.1, 4.3 and 4.4",
        level: "MUST",
        asks: "Neighbour Discovery is sent with hop limit 255",
        look: |told| {
            let hops = |one: &Told| match one.what {
                What::RouterSolicitation { hop_limit }
                | What::Solicits { hop_limit, .. }
                | What::Advertises { hop_limit, .. } => Some(hop_limit),
                _ => None,
            };
            let sent: Vec<(usize, u8)> = told
                .iter()
                .filter(|one| one.from_host)
                .filter_map(|one| Some((one.frame, hops(one)?)))
                .collect();
            (
                !sent.is_empty(),
                sent.iter().filter(|(_, hops)| *hops != 255).map(|(frame, _)| *frame).collect(),
            )
        },
    },
    Rule {
        name: "dhcpv6-elapsed",
        rfc: "RFC 9915 section 21.9",
        level: "MUST",
        asks: "a DHCPv6 client says in its messages for how long it has been asking",
        look: |told| dhcp6(told, |elapsed, _| elapsed),
    },
    Rule {
        name: "dhcpv6-client-id",
        rfc: "RFC 9915 section 18.2.1",
        level: "MUST",
        asks: "a DHCPv6 client says who it is when it asks for addresses or prefixes",
        look: |told| dhcp6(told, |_, client_id| client_id),
    },
    Rule {
        name: "dhcpv6-patience",
        rfc: "RFC 9915 section 15",
        level: "MUST",
        asks: "a DHCPv6 client sends a message again after about a second, and then ever more rarely",
        look: |told| {
            too_soon(told, RETRANSMISSION, |what| match what {
                What::Dhcp6 { kind, transaction, .. } => Some((*kind, *transaction)),
                _ => None,
            })
        },
    },
];

/// What each rule says.
pub(super) fn judge(told: &[Told]) -> Vec<Finding> {
    let finding = |rule: &Rule| {
        let (occasion, mut frames) = (rule.look)(told);
        frames.truncate(EVIDENCE);
        let verdict = match (occasion, frames.is_empty()) {
            (_, false) => Verdict::Violated,
            (true, true) => Verdict::Kept,
            (false, true) => Verdict::Untold,
        };
        Finding { rule: rule.name, rfc: rule.rfc, level: rule.level, asks: rule.asks, verdict, frames }
    };
    RULES.iter().map(finding).collect()
}

/// What the host did although it was told to do without IPv4, after it had asked for that.
fn after_v6only(told: &[Told], is: impl Fn(&What) -> bool) -> (bool, Vec<usize>) {
    let asked = |one: &&Told| one.from_host && matches!(one.what, What::Dhcp4 { asks_108: true, .. });
    let answer = |one: &&Told| match one.what {
        What::Dhcp4 { kind: Kind4::OFFER | Kind4::ACK, v6only: Some(wait), .. } if !one.from_host => {
            Some((one.at, Duration::from_secs(wait.max(LEAST_WAIT).into())))
        }
        _ => None,
    };
    let Some(first) = told.iter().find(asked) else { return (false, Vec::new()) };
    let Some((at, wait)) = told.iter().filter(|one| one.at >= first.at).find_map(|one| answer(&one)) else {
        return (false, Vec::new());
    };
    let within = |one: &&Told| one.from_host && one.at > at + CROSSING && one.at < at + wait;
    let frames = told.iter().filter(within).filter(|one| is(&one.what)).map(|one| one.frame).collect();
    // Whoever was not heard for long afterwards has not shown that it is quiet.
    (told.iter().any(|one| one.at > at + CROSSING), frames)
}

/// Whether the host came onto the link while it was listened to: it looks for a duplicate of its link-local address first.
fn came(told: &[Told]) -> Option<Duration> {
    told.iter().filter(|one| one.from_host).find_map(|one| match one.what {
        What::Solicits { source, target, .. } if source.is_unspecified() && is_link_local(target) => {
            Some(one.at)
        }
        _ => None,
    })
}

fn is_link_local(address: IpAddr) -> bool {
    let net = ipnet::IpNet::from(ipnet::Ipv6Net::new_assert(
        std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
    ));
    net.contains(&address)
}

/// Addresses that the host looked for duplicates of.
fn detected(told: &[Told]) -> BTreeSet<IpAddr> {
    let target = |one: &Told| match one.what {
        What::Solicits { source, target, .. } if source.is_unspecified() => Some(target),
        _ => None,
    };
    told.iter().filter(|one| one.from_host).filter_map(target).collect()
}

/// Frames by which the host uses an IPv6 address that it did not look for duplicates of.
fn undetected(told: &[Told]) -> (bool, Vec<usize>) {
    let Some(came) = came(told) else { return (false, Vec::new()) };
    let detected = detected(told);
    let used = |one: &Told| match one.what {
        What::Solicits { source, .. } if !source.is_unspecified() => Some(source),
        What::Advertises { target, .. } => Some(target),
        What::Dns { version: 6, source } => Some(source),
        _ => None,
    };
    let wrong = |one: &&Told| {
        one.from_host && one.at >= came && used(one).is_some_and(|address| !detected.contains(&address))
    };
    (true, told.iter().filter(wrong).map(|one| one.frame).collect())
}

/// Advertisements of prefixes of which the host formed no address, though it was there.
fn unformed(told: &[Told]) -> (bool, Vec<usize>) {
    let Some(came) = came(told) else { return (false, Vec::new()) };
    let detected = detected(told);
    let Some(last) = told.iter().rev().find(|one| one.from_host).map(|one| one.at) else {
        return (false, Vec::new());
    };
    let (mut occasion, mut frames) = (false, Vec::new());
    for one in told.iter().filter(|one| one.at >= came && last.saturating_sub(one.at) >= FORMING) {
        let What::RouterAdvertisement { autonomous, .. } = &one.what else { continue };
        for prefix in autonomous {
            occasion = true;
            let net = ipnet::IpNet::from(*prefix);
            if !detected.iter().any(|address| net.contains(address)) {
                frames.push(one.frame);
            }
        }
    }
    (occasion, frames)
}

/// Messages of the host that follow one of their like too soon.
fn too_soon<K: PartialEq>(
    told: &[Told],
    least: Duration,
    like: impl Fn(&What) -> Option<K>,
) -> (bool, Vec<usize>) {
    let sent: Vec<(usize, Duration, K)> = (told.iter().filter(|one| one.from_host))
        .filter_map(|one| Some((one.frame, one.at, like(&one.what)?)))
        .collect();
    let (mut occasion, mut frames) = (false, Vec::new());
    for (place, (frame, at, kind)) in sent.iter().enumerate() {
        let before = sent.iter().take(place).rev().find(|(_, _, other)| other == kind);
        if let Some((_, before, _)) = before {
            occasion = true;
            if at.saturating_sub(*before) < least {
                frames.push(*frame);
            }
        }
    }
    (occasion, frames)
}

/// Messages of a DHCPv6 client that lack what they must have.
fn dhcp6(told: &[Told], has: impl Fn(bool, bool) -> bool) -> (bool, Vec<usize>) {
    let asks = |kind: Kind6| {
        matches!(
            kind,
            Kind6::SOLICIT | Kind6::REQUEST | Kind6::RENEW | Kind6::REBIND | Kind6::RELEASE | Kind6::DECLINE
        )
    };
    let sent: Vec<(usize, bool)> = (told.iter().filter(|one| one.from_host))
        .filter_map(|one| match one.what {
            What::Dhcp6 { kind, elapsed, client_id, .. } if asks(kind) => {
                Some((one.frame, has(elapsed, client_id)))
            }
            _ => None,
        })
        .collect();
    (!sent.is_empty(), sent.iter().filter(|(_, fine)| !fine).map(|(frame, _)| *frame).collect())
}
