//! Which packets pass: the firewall's policy as rules. Pure: no socket, no kernel.
//!
//! Order matters twice. `prerouting` runs at raw priority, before connection tracking, so that a packet with a
//! forged source never becomes a connection (and after the kernel has put fragments together, so that nothing
//! hides behind one). And every chain ends in what it refuses.

use ipnet::{Ipv4Net, Ipv6Net};

use super::encode::{Base, Compare, Meta, Rule, state};
use super::firewall::{FirewallConfig, LanIpv4};

/// Chain names.
pub(super) const PREROUTING: &str = "prerouting";
pub(super) const INPUT: &str = "input";
pub(super) const FORWARD: &str = "forward";
pub(super) const CLAMP: &str = "clamp";
pub(super) const MASQUERADE: &str = "masquerade";
pub(super) const WAN_INPUT: &str = "wan-input";
pub(super) const WAN_FORWARD: &str = "wan-forward";
pub(super) const WAN_TO_LAN: &str = "wan-to-lan";

/// A chain: its name, and for base chains the hook's number and priority.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Option<(u32, i32)>,
}

/// Every chain, those that are gone to before those that go there.
pub(super) const CHAINS: &[Chain] = &[
    Chain { name: WAN_TO_LAN, hook: None },
    Chain { name: WAN_FORWARD, hook: None },
    Chain { name: WAN_INPUT, hook: None },
    Chain { name: PREROUTING, hook: Some((0, -300)) },
    Chain { name: INPUT, hook: Some((1, 0)) },
    Chain { name: FORWARD, hook: Some((2, 0)) },
    Chain { name: CLAMP, hook: Some((2, -150)) },
    Chain { name: MASQUERADE, hook: Some((4, 100)) },
];

impl Chain {
    /// The kernel's word for what a base chain does.
    pub(super) fn kind(&self) -> &'static str {
        if self.name == MASQUERADE { "nat" } else { "filter" }
    }
}

/// The chains that `config` needs. The kernel translates addresses only where a chain asks for it.
pub(super) fn chains(config: &FirewallConfig) -> impl Iterator<Item = &'static Chain> {
    let masquerades = config.masquerade.is_some() || config.lan_ipv4 == LanIpv4::Masqueraded;
    CHAINS.iter().filter(move |chain| masquerades || chain.name != MASQUERADE)
}

/// Counters that are always there.
const COUNTERS: &[&str] = &[
    "wan-input-dropped",
    "wan-forward-dropped",
    "wan-invalid-dropped",
    "wan-echo-limited",
    "spoofed-wan",
    "routing-header-dropped",
    "ula-rejected",
];

/// The counter of packets that would have gone in circles; there where prefixes are delegated.
const LOOPED: &str = "looped";

/// The counter of IPv4 that was kept inside.
const KEPT: &str = "ipv4-kept";

const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const ESP: u8 = 50;
const AH: u8 = 51;

/// ICMP Destination Unreachable, "communication administratively prohibited" (RFC 1812 section 5.2.7.1).
const PROHIBITED_V4: u8 = 13;
/// ICMPv6 Destination Unreachable, "source address failed ingress/egress policy" (RFC 4443 section 3.1).
const POLICY_FAILED: u8 = 5;

fn prefix(bytes: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(bytes.into(), length)
}

fn link_local() -> Ipv6Net {
    prefix([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)
}

fn unique_local() -> Ipv6Net {
    prefix([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7)
}

/// The name of the counter of packets from `lan` whose source is none of its own.
pub(super) fn spoofed(lan: &str) -> String {
    format!("spoofed-{lan}")
}

/// The counters that `config` needs, in the order in which they are shown.
pub(super) fn counters(config: &FirewallConfig) -> Vec<String> {
    let fixed = COUNTERS.iter().map(|name| (*name).to_owned());
    let kept = (config.lan_ipv4 == LanIpv4::Inside).then(|| KEPT.to_owned());
    let delegates = config.lans.iter().any(|lan| !lan.delegated.is_empty());
    let looped = delegates.then(|| LOOPED.to_owned());
    fixed.chain(kept).chain(looped).chain(config.lans.iter().map(|lan| spoofed(&lan.interface))).collect()
}

/// All rules, in order.
pub(super) fn rules(config: &FirewallConfig) -> Vec<Rule> {
    let mut rules = Vec::new();
    routing_headers(config, &mut rules);
    if let Some(wan) = &config.uplink {
        spoofed_from_wan(config, wan, &mut rules);
        input(config, wan, &mut rules);
        forward(config, wan, &mut rules);
        clamp(wan, Rule::ipv6, &mut rules);
        lan_ipv4(config, wan, &mut rules);
    }
    if let Some(island) = &config.island {
        clamp(island, Rule::ipv4, &mut rules);
    }
    rules.extend(config.masquerade.map(|pool| {
        Rule::new(MASQUERADE, "NAT64: private addresses of its pool stay inside").source_v4(pool).masquerade()
    }));
    for lan in &config.lans {
        source_validation(&lan.interface, &lan.prefixes, &mut rules);
        if config.lan_ipv4 != LanIpv4::Unmanaged {
            source_validation_v4(&lan.interface, &lan.prefixes_v4, &mut rules);
        }
        loops(&lan.interface, &lan.delegated, &mut rules);
    }
    rules
}

/// RFC 5095: a Type 0 routing header that still has segments left is refused, wherever it comes from.
fn routing_headers(config: &FirewallConfig, rules: &mut Vec<Rule>) {
    let managed = config.uplink.iter().chain(config.lans.iter().map(|lan| &lan.interface));
    rules.extend(managed.map(|interface| {
        Rule::new(PREROUTING, "RFC 5095: type 0 routing header")
            .interface(Meta::InputName, interface)
            .ipv6()
            .routing_header(2, Compare::Equal, 0)
            .routing_header(3, Compare::Unequal, 0)
            .count("routing-header-dropped")
            .drop()
    }));
}

/// Our own prefixes are behind us: from the WAN they are forged (RFC 6092 section 3.1, REC-6).
fn spoofed_from_wan(config: &FirewallConfig, wan: &str, rules: &mut Vec<Rule>) {
    let lans = config.lans.iter().flat_map(|lan| &lan.prefixes);
    let ours: Vec<Ipv6Net> = config.delegated.iter().chain(lans).copied().collect();
    rules.extend(Ipv6Net::aggregate(&ours).into_iter().map(|prefix| {
        Rule::new(PREROUTING, "RFC 6092 3.1: our own prefix as source from the WAN")
            .interface(Meta::InputName, wan)
            .ipv6()
            .source(prefix)
            .count("spoofed-wan")
            .drop()
    }));
}

/// BCP 38 (RFC 2827): a LAN's packets carry a source of that LAN.
///
/// Link-local sources are fine because the kernel forwards none (RFC 4291 section 2.5.6); the unspecified
/// source is for duplicate address detection and MLD alone, both ICMPv6 (RFC 4862 section 5.4, RFC 3590).
fn source_validation(lan: &str, prefixes: &[Ipv6Net], rules: &mut Vec<Rule>) {
    let from = |comment: &str| Rule::new(PREROUTING, comment).interface(Meta::InputName, lan).ipv6();
    rules.extend(
        Ipv6Net::aggregate(&prefixes.to_vec())
            .into_iter()
            .map(|prefix| from("BCP 38: the LAN's own prefix").source(prefix).accept()),
    );
    rules.push(from("BCP 38: link-local").source(link_local()).accept());
    rules.push(from("BCP 38: address detection").source_unspecified().protocol(ICMPV6).accept());
    rules.push(from("BCP 38: any other source is forged").count(&spoofed(lan)).drop());
}

/// RFC 8987 section 4.2 R-5: a router that has no use for a part of its prefix sends what is for it back to us, and we would to it. What
/// comes from outside of the prefix is stopped on its way back as forged.
fn loops(lan: &str, delegated: &[Ipv6Net], rules: &mut Vec<Rule>) {
    rules.extend(delegated.iter().map(|prefix| {
        Rule::new(FORWARD, "RFC 8987 R-5: back to where it came from")
            .interface(Meta::InputName, lan)
            .interface(Meta::OutputName, lan)
            .ipv6()
            .source(*prefix)
            .destination(*prefix)
            .count(LOOPED)
            .drop()
    }));
}

/// The same for IPv4. A host without an address asks for one from 0.0.0.0 (RFC 2131 section 4.1).
fn source_validation_v4(lan: &str, prefixes: &[Ipv4Net], rules: &mut Vec<Rule>) {
    const UNSPECIFIED: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 32);
    let from = |comment: &str| Rule::new(PREROUTING, comment).interface(Meta::InputName, lan);
    let own = Ipv4Net::aggregate(&prefixes.to_vec()).into_iter();
    rules.extend(own.map(|prefix| from("BCP 38: the LAN's own IPv4").source_v4(prefix).accept()));
    rules.push(
        from("BCP 38: DHCPv4")
            .source_v4(UNSPECIFIED)
            .protocol(UDP)
            .payload(Base::Transport, 2, Compare::Equal, &67_u16.to_be_bytes())
            .accept(),
    );
    rules.push(from("BCP 38: any other source is forged").ipv4().count(&spoofed(lan)).drop());
}

/// IPv4 of the LANs towards the WAN. The way back is for answers alone, as for everything from the WAN.
fn lan_ipv4(config: &FirewallConfig, wan: &str, rules: &mut Vec<Rule>) {
    if config.lan_ipv4 == LanIpv4::Unmanaged {
        return;
    }
    for lan in &config.lans {
        for prefix in Ipv4Net::aggregate(&lan.prefixes_v4) {
            rules.push(
                Rule::new(PREROUTING, "a LAN's IPv4 as source from the WAN")
                    .interface(Meta::InputName, wan)
                    .source_v4(prefix)
                    .count("spoofed-wan")
                    .drop(),
            );
            if config.lan_ipv4 == LanIpv4::Masqueraded {
                let rule = Rule::new(MASQUERADE, "NAT44").interface(Meta::OutputName, wan).source_v4(prefix);
                rules.push(rule.masquerade());
            }
        }
        if config.lan_ipv4 == LanIpv4::Inside {
            // The sender is told, so that it does not wait.
            let rule = Rule::new(FORWARD, "IPv4 stays inside")
                .interface(Meta::InputName, &lan.interface)
                .interface(Meta::OutputName, wan)
                .ipv4();
            rules.push(rule.count(KEPT).reject(PROHIBITED_V4));
        }
    }
    if config.lan_ipv4 == LanIpv4::Masqueraded {
        clamp(wan, Rule::ipv4, rules);
    }
}

/// What the WAN may send to this host: answers, and what RFC 4890 section 4.4.1 says must not be dropped.
/// ICMPv6 errors, of any kind, arrive as "related" to what they are about.
fn input(config: &FirewallConfig, wan: &str, rules: &mut Vec<Rule>) {
    const ECHO_RATE: u64 = 20;
    const ECHO_BURST: u32 = 40;
    let rule = |comment: &str| Rule::new(WAN_INPUT, comment);
    let icmpv6 = |comment: &str, first: u8, last: u8| {
        let rule = rule(comment).ipv6().protocol(ICMPV6);
        if first == last {
            rule.payload(Base::Transport, 0, Compare::Equal, &[first])
        } else {
            rule.payload(Base::Transport, 0, Compare::AtLeast, &[first]).payload(
                Base::Transport,
                0,
                Compare::AtMost,
                &[last],
            )
        }
    };
    rules.push(Rule::new(INPUT, "from the WAN").interface(Meta::InputName, wan).goto(WAN_INPUT));
    // Before the answers: once the first of a flood is answered, the rest is "established".
    let echo = icmpv6("too many echo requests", 128, 128).above(ECHO_RATE, ECHO_BURST);
    rules.push(echo.count("wan-echo-limited").drop());
    rules.push(rule("answers").connection(state::ESTABLISHED | state::RELATED).accept());
    rules.push(rule("no connection").connection(state::INVALID).count("wan-invalid-dropped").drop());
    // RFC 4861 sections 6.1 and 7.1: hop limit 255; advertisements of routers and redirects are link-local.
    rules.push(icmpv6("router solicitation", 133, 133).hop_limit(255).accept());
    rules.push(icmpv6("router advertisement", 134, 134).hop_limit(255).source(link_local()).accept());
    rules.push(icmpv6("neighbor discovery", 135, 136).hop_limit(255).accept());
    rules.push(icmpv6("redirect", 137, 137).hop_limit(255).source(link_local()).accept());
    // RFC 2710 section 3, RFC 3810 section 5: hop limit 1, link-local source.
    rules.push(icmpv6("MLD", 130, 132).hop_limit(1).source(link_local()).accept());
    rules.push(icmpv6("MLDv2 report", 143, 143).hop_limit(1).source(link_local()).accept());
    rules.push(icmpv6("echo request", 128, 128).accept());
    // RFC 9915 section 7.2. Connection tracking cannot match them: the request went to a multicast address.
    rules.push(
        rule("DHCPv6 to the client")
            .ipv6()
            .source(link_local())
            .destination(link_local())
            .protocol(UDP)
            .payload(Base::Transport, 0, Compare::Equal, &547_u16.to_be_bytes())
            .payload(Base::Transport, 2, Compare::Equal, &546_u16.to_be_bytes())
            .accept(),
    );
    if let Some(relay) = &config.relay {
        rules.extend(relay.servers.iter().map(|server| {
            rule("DHCPv6 servers to the relay agent")
                .ipv6()
                .source(*server)
                .protocol(UDP)
                .payload(Base::Transport, 2, Compare::Equal, &relay.port.to_be_bytes())
                .accept()
        }));
    }
    rules.push(rule("default deny").count("wan-input-dropped").drop());
}

/// RFC 6092: what the WAN may send through us, and what of ours may not leave.
fn forward(config: &FirewallConfig, wan: &str, rules: &mut Vec<Rule>) {
    rules.push(Rule::new(FORWARD, "from the WAN").interface(Meta::InputName, wan).goto(WAN_FORWARD));
    let rule = |comment: &str| Rule::new(WAN_FORWARD, comment);
    // With the ICMPv6 errors of RFC 4890 section 4.3.1 that belong to a connection (RFC 6092 REC-10, REC-18).
    rules.push(rule("answers").connection(state::ESTABLISHED | state::RELATED).accept());
    rules.push(rule("no connection").connection(state::INVALID).count("wan-invalid-dropped").drop());
    for lan in &config.lans {
        let rule = rule("to a LAN").interface(Meta::OutputName, &lan.interface).ipv6();
        rules.push(rule.goto(WAN_TO_LAN));
    }
    rules.push(rule("default deny").count("wan-forward-dropped").drop());

    let rule = |comment: &str| Rule::new(WAN_TO_LAN, comment);
    rules.push(
        rule("RFC 4890 4.3.1: echo request")
            .protocol(ICMPV6)
            .payload(Base::Transport, 0, Compare::Equal, &[128])
            .accept(),
    );
    // RFC 6092 section 3.2.4 has these pass by default: they carry their own authentication.
    // AH counts as an extension header, the protocol is what follows it.
    rules.push(rule("RFC 6092 3.2.4: AH").extension_header(AH).accept());
    rules.push(rule("RFC 6092 3.2.4: ESP").protocol(ESP).accept());
    rules.push(
        rule("RFC 6092 3.2.4: IKE")
            .protocol(UDP)
            .payload(Base::Transport, 2, Compare::Equal, &500_u16.to_be_bytes())
            .accept(),
    );
    rules.push(rule("default deny").count("wan-forward-dropped").drop());

    // RFC 4193 section 4.3: unique local sources stay inside. The sender is told, so that it tries its next
    // address. A uplink that delegated a unique local prefix (a laboratory's) knows its way back.
    for lan in &config.lans {
        let outwards = |comment: &str| {
            Rule::new(FORWARD, comment)
                .interface(Meta::InputName, &lan.interface)
                .interface(Meta::OutputName, wan)
                .ipv6()
        };
        let unique = unique_local();
        for prefix in config.delegated.iter().filter(|prefix| unique.contains(*prefix)) {
            rules.push(outwards("delegated unique local source").source(*prefix).accept());
        }
        let rule = outwards("RFC 4193 4.3: unique local source").source(unique).count("ula-rejected");
        rules.push(rule.reject(POLICY_FAILED));
    }
}

/// TCP's maximum segment size, in either direction, follows the narrower of the two routes' MTU: providers that
/// tunnel (PPPoE) and servers that lose Packet Too Big make connections hang otherwise.
fn clamp(interface: &str, family: fn(Rule) -> Rule, rules: &mut Vec<Rule>) {
    for way in [Meta::InputName, Meta::OutputName] {
        rules.push(family(Rule::new(CLAMP, "TCP MSS").interface(way, interface)).clamp_mss());
    }
}
