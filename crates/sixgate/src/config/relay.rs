//! LANs that are relayed (`lan.relay` and its companions), and `[relay-agent]`: what holds for all of them.

use super::{Lan, Reader, file};
use ipnet::Ipv6Net;
use sixgate_dhcp::options::OptionSet;
use sixgate_endpoint::Endpoint;
use sixgate_wire::dhcpv6::SERVER_PORT;
use std::ops::Range;
use toml::Spanned;

/// Messages a second from one LAN where the file names no number.
const RATE: u32 = 1_000;
/// Prefixes of one client where the file names no number (RFC 8987 section 4.1 G-7).
const PREFIXES_PER_CLIENT: u32 = 8;
/// Prefixes of one LAN where the file names no number.
const PREFIXES_PER_LAN: u32 = 16_384;
/// Longest identifier, in octets: some servers keep no more.
const LONGEST_ID: usize = 255;
const SERVERS: &str = "write addresses of servers, such as \"2001:db8::547\"; a group needs its interface, as in \"ff05::1:3%eth0\"";

/// What holds for all LANs that are relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relay {
    /// Our UDP port towards servers.
    pub(crate) port: u16,
    /// Whether servers are told a client's link-layer address (RFC 6939).
    pub(crate) client_link_layer: bool,
    /// Enterprise number that remote-ids are told with (RFC 4649).
    pub(crate) enterprise: Option<u32>,
    /// Whether servers are told our DUID (RFC 5460 section 5.4.1).
    pub(crate) tell_duid: bool,
    /// Whether servers are asked for what they delegated through us (RFC 5460).
    pub(crate) recover: bool,
    /// Messages a second from one LAN.
    pub(crate) rate: u32,
    pub(crate) prefixes_per_client: usize,
    pub(crate) prefixes_per_lan: usize,
}

/// How one LAN is relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LanRelay {
    /// To whom; none stands for whatever server is there (RFC 9915 section 19).
    pub(crate) servers: Vec<Endpoint>,
    /// Other relay agents on the LAN, or behind it.
    pub(crate) from: Vec<Ipv6Net>,
    pub(crate) interface_id: Option<Vec<u8>>,
    pub(crate) remote_id: Option<Vec<u8>>,
    pub(crate) subscriber_id: Option<Vec<u8>>,
    /// For the LAN's clients, where the servers allow it (RFC 6422).
    pub(crate) options: OptionSet,
}

/// What a LAN's keys say of relaying, as they stand in the file.
pub(super) struct Written {
    pub(super) relay: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) from: Option<Vec<Spanned<String>>>,
    pub(super) interface_id: Option<Spanned<String>>,
    pub(super) remote_id: Option<Spanned<String>>,
    pub(super) subscriber_id: Option<Spanned<String>>,
    pub(super) options: Option<file::Options>,
}

impl Reader<'_> {
    /// `[relay-agent]`.
    pub(super) fn relay(&mut self, relay: file::Relay) -> Relay {
        let mut number = |value: Option<Spanned<u32>>, key: &str, default: u32| {
            let Some(value) = value else { return default };
            if *value.get_ref() == 0 {
                let nothing =
                    format!("with {} = 0 nothing is relayed", key.trim_start_matches("relay-agent."));
                self.error(value.span(), key, nothing, "choose 1 or more, or leave the key out");
            }
            *value.get_ref()
        };
        Relay {
            port: number(
                relay.port.map(|port| Spanned::new(port.span(), u32::from(port.into_inner()))),
                "relay-agent.port",
                SERVER_PORT.into(),
            ) as u16,
            rate: number(relay.rate, "relay-agent.rate", RATE),
            prefixes_per_client: number(
                relay.prefixes_per_client,
                "relay-agent.prefixes-per-client",
                PREFIXES_PER_CLIENT,
            ) as usize,
            prefixes_per_lan: number(relay.prefixes_per_lan, "relay-agent.prefixes-per-lan", PREFIXES_PER_LAN)
                as usize,
            client_link_layer: relay.client_link_layer.unwrap_or(false),
            enterprise: relay.enterprise,
            tell_duid: relay.tell_duid.unwrap_or(false),
            recover: relay.recover.unwrap_or(false),
        }
    }

    /// What a LAN's keys say of relaying; `None` where it is served.
    pub(super) fn lan_relay(&mut self, written: Written) -> Option<LanRelay> {
        let Written { relay, from, interface_id, remote_id, subscriber_id, options } = written;
        let Some(relay) = relay else {
            let first = from.and_then(|from| from.first().map(Spanned::span));
            let option = options.and_then(|options| options.first_key_value().map(|(_, value)| value.span()));
            let span = |id: Option<Spanned<String>>| id.map(|id| id.span());
            for (key, span) in [
                ("lan.relay-from", first),
                ("lan.relay-options", option),
                ("lan.interface-id", span(interface_id)),
                ("lan.remote-id", span(remote_id)),
                ("lan.subscriber-id", span(subscriber_id)),
            ] {
                if let Some(span) = span {
                    let word = key.trim_start_matches("lan.");
                    let message = format!("{word} does nothing on a LAN that is served here");
                    self.error(span, key, message, "add relay = [\"...\"] with the servers' addresses");
                }
            }
            return None;
        };
        let servers = relay.into_inner().iter().filter_map(|text| self.relay_server(text)).collect();
        let from = from.unwrap_or_default().iter().filter_map(|text| self.relay_from(text)).collect();
        Some(LanRelay {
            servers,
            from,
            interface_id: self.identifier(interface_id, "lan.interface-id"),
            remote_id: self.identifier(remote_id, "lan.remote-id"),
            subscriber_id: self.identifier(subscriber_id, "lan.subscriber-id"),
            options: self.options("lan.relay-options", options),
        })
    }

    fn relay_server(&mut self, text: &Spanned<String>) -> Option<Endpoint> {
        let (message, remedy) = match text.get_ref().parse::<Endpoint>() {
            Err(error) => (error.what(), error.remedy()),
            Ok(server) => {
                let address =
                    server.ipv6().filter(|address| !address.is_unspecified() && !address.is_loopback());
                let local =
                    address.is_some_and(|address| address.is_multicast() || address.is_unicast_link_local());
                let wrong = match address {
                    None => Some(format!("`{server}` cannot be a DHCPv6 server's address")),
                    Some(_) if server.port().is_some() => {
                        Some(format!("`{server}` names a port; DHCPv6 servers listen on 547"))
                    }
                    Some(_) if local && server.zone().is_none() => {
                        Some(format!("`{server}` does not say by which interface it is reached"))
                    }
                    Some(_) => None,
                };
                match wrong {
                    None => return Some(server),
                    Some(wrong) => (wrong, SERVERS.to_owned()),
                }
            }
        };
        self.error(text.span(), "lan.relay", message, remedy);
        None
    }

    /// An address or a prefix of other relay agents.
    fn relay_from(&mut self, text: &Spanned<String>) -> Option<Ipv6Net> {
        let word = text.get_ref();
        let net = word
            .parse::<Ipv6Net>()
            .ok()
            .or_else(|| word.parse().ok().map(|address: std::net::Ipv6Addr| address.into()));
        match net {
            Some(net) if !net.addr().is_multicast() => Some(net.trunc()),
            _ => {
                let message = format!("`{word}` is neither an IPv6 address nor a prefix");
                let remedy =
                    "write the relay agent's address, such as \"fe80::1\", or a prefix of such addresses";
                self.error(text.span(), "lan.relay-from", message, remedy);
                None
            }
        }
    }

    /// Text as it is, or octets in hexadecimal behind `0x`.
    pub(super) fn identifier(&mut self, text: Option<Spanned<String>>, key: &str) -> Option<Vec<u8>> {
        let text = text?;
        let octets = match text.get_ref().strip_prefix("0x") {
            None => Some(text.get_ref().as_bytes().to_vec()),
            Some(digits) => octets(digits),
        };
        let octets = octets.filter(|octets| (1..=LONGEST_ID).contains(&octets.len()));
        if octets.is_none() {
            let message = format!("`{}` is no identifier of 1 to {LONGEST_ID} octets", text.get_ref());
            let remedy = "write text, or pairs of hexadecimal digits behind 0x, such as \"0x0001a2\"";
            self.error(text.span(), key, message, remedy);
        }
        octets
    }

    /// What is wrong only when everything is seen together.
    pub(super) fn check_relay(&mut self, relay: &Relay, lans: &[(Lan, Range<usize>)]) {
        let mut names: Vec<(&[u8], &str)> = Vec::new();
        for (lan, _) in lans {
            let Some(relayed) = &lan.relay else { continue };
            let interface = lan.interface.value.as_str();
            let name = relayed.interface_id.as_deref().unwrap_or(interface.as_bytes());
            if let Some((_, other)) = names.iter().find(|(id, _)| *id == name) {
                let message = format!("LANs `{other}` and `{interface}` have the same interface-id");
                let remedy = "give each an interface-id of its own: by it the answer finds its LAN";
                self.error(lan.interface.span.clone(), "lan.interface-id", message, remedy);
            }
            names.push((name, interface));
            if relayed.remote_id.is_some() && relay.enterprise.is_none() {
                self.error(
                    self.find(lan, "remote-id"),
                    "lan.remote-id",
                    "a remote-id is told together with the number of the enterprise that gave it (RFC 4649)",
                    "add [relay-agent] with enterprise = N, your private enterprise number at IANA",
                );
            }
            let behind = |server: &&Endpoint| {
                let zone = server.zone();
                let zone = zone.as_ref().and_then(|zone| zone.name());
                zone.is_some_and(|zone| {
                    lans.iter().any(|(lan, _)| lan.relay.is_some() && lan.interface.value == zone)
                })
            };
            if let Some(server) = relayed.servers.iter().find(behind) {
                self.error(
                    self.find(lan, &server.to_string()),
                    "lan.relay",
                    format!("`{server}` is on a LAN that is relayed: what comes from there is a client's"),
                    "put servers behind another interface",
                );
            }
        }
    }
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let well_formed = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    well_formed.then(|| digits.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finding, parse};

    const RELAY: &str =
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nrelay = [\"2001:db8::547\"]\n";

    #[test]
    fn a_relay_takes_four_lines() {
        let checked = parse(RELAY).unwrap();
        assert!(checked.warnings.is_empty());
        let relay = checked.config.lans[0].relay.clone().unwrap();
        assert_eq!(relay.servers[0].to_string(), "2001:db8::547");
        let all = checked.config.relay;
        assert_eq!((all.port, all.client_link_layer, all.rate), (547, false, 1_000));
        let text = format!(
            "{RELAY}interface-id = \"0x00fF\"\nsubscriber-id = \"Müller\"\nrelay-from = [\"fe80::1\", \"2001:db8:9::/48\"]\n"
        );
        let relay = parse(&text).unwrap().config.lans[0].relay.clone().unwrap();
        assert_eq!((relay.interface_id, relay.subscriber_id), (Some(vec![0, 255]), Some("Müller".into())));
        assert_eq!(relay.from.len(), 2);
        let anybody =
            parse(&RELAY.replace("\"2001:db8::547\"", "")).unwrap().config.lans[0].relay.clone().unwrap();
        assert!(anybody.servers.is_empty(), "All_DHCP_Servers");
        let options = parse(&format!("{RELAY}relay-options = {{ erp-domain = \"example.net\" }}\n")).unwrap();
        assert_eq!(options.config.lans[0].relay.as_ref().unwrap().options.iter().count(), 1);
    }

    #[test]
    fn mistakes_are_explained() {
        let with = |more: &str| finding(&format!("{RELAY}{more}"));
        let servers = |text: &str| finding(&RELAY.replace("\"2001:db8::547\"", text));
        assert!(servers("\"ff05::1:3\"").contains("by which interface"));
        assert!(servers("\"fe80::1\"").contains("by which interface"));
        assert!(servers("\"192.0.2.1\"").contains("cannot be a DHCPv6 server's address"));
        assert!(servers("\"[2001:db8::1]:67\"").contains("names a port"));
        assert!(servers("\"fe80::1%lan0\"").contains("on a LAN that is relayed"));
        assert!(with("remote-id = \"line 7\"\n").contains("private enterprise number"));
        assert!(with("interface-id = \"0x0\"\n").contains("pairs of hexadecimal digits"));
        assert!(with("relay-options = { erp-domain = 7 }\n").contains("a number"));
        assert!(with("relay-from = [\"ff02::1\"]\n").contains("neither an IPv6 address nor a prefix"));
        assert!(with("[relay-agent]\nrate = 0\n").contains("nothing is relayed"));
        let served = RELAY.replace("relay = [\"2001:db8::547\"]", "subscriber-id = \"7\"");
        assert!(finding(&served).contains("does nothing on a LAN that is served here"));
        let second = RELAY.replace("lan0", "lan1").replace("db8:1:", "db8:2:") + "interface-id = \"lan0\"\n";
        assert!(finding(&format!("{RELAY}{second}")).contains("same interface-id"));
    }
}
