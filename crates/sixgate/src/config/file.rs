//! The file as it is written: one field for each key, nothing checked but its type.

use super::RouterPreference;
use super::diagnostic::{Diagnostic, nearest};
use super::dnssec;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) state: Option<PathBuf>,
    pub(super) control: Option<PathBuf>,
    pub(super) control_group: Option<String>,
    pub(super) firewall: Option<bool>,
    pub(super) uplink: Option<Uplink>,
    #[serde(default)]
    pub(super) lan: Vec<Spanned<Lan>>,
    pub(super) relays: Option<Spanned<Relays>>,
    #[serde(default)]
    pub(super) subnet: Vec<Spanned<Subnet>>,
    pub(super) dns: Option<Dns>,
    pub(super) dhcp: Option<Dhcp>,
    pub(super) nat64: Option<Nat64>,
    pub(super) health: Option<Health>,
    pub(super) web: Option<Web>,
    pub(super) census: Option<Census>,
    pub(super) pilot: Option<Spanned<Pilot>>,
    pub(super) ipv4: Option<Spanned<Ipv4>>,
    pub(super) ddns: Option<Ddns>,
    pub(super) relay_agent: Option<Relay>,
    pub(super) history: Option<History>,
    pub(super) leasequery: Option<Leasequery>,
    pub(super) reconfigure: Option<Reconfigure>,
    pub(super) measure: Option<Measure>,
    pub(super) proxy: Option<Proxy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Proxy {
    pub(super) enabled: Option<bool>,
    pub(super) port: Option<Spanned<u16>>,
    pub(super) to_ports: Option<Spanned<Vec<u16>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Measure {
    #[serde(default)]
    pub(super) plugin: Vec<Spanned<Plugin>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Plugin {
    pub(super) name: Spanned<String>,
    pub(super) command: Spanned<Vec<String>>,
    pub(super) every: Option<Spanned<Seconds>>,
    pub(super) time: Option<Spanned<Seconds>>,
    pub(super) octets: Option<Spanned<u32>>,
    pub(super) memory: Option<Spanned<u32>>,
    pub(super) octets_a_day: Option<Spanned<u64>>,
    pub(super) user: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ddns {
    pub(super) zone: Spanned<String>,
    pub(super) reverse: Option<Vec<Spanned<String>>>,
    pub(super) server: Spanned<String>,
    pub(super) key_file: Option<Spanned<String>>,
    pub(super) ttl: Option<Spanned<Seconds>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Reconfigure {
    pub(super) on_renumbering: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Leasequery {
    pub(super) from: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct History {
    pub(super) retention: Option<Spanned<Seconds>>,
    pub(super) rows: Option<Spanned<u32>>,
    pub(super) seen: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Census {
    pub(super) enabled: Option<bool>,
    pub(super) privacy: Option<Privacy>,
    pub(super) retention: Option<Spanned<Seconds>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Privacy {
    Hashed,
    Named,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Web {
    pub(super) enabled: Option<bool>,
    pub(super) port: Option<Spanned<u16>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Health {
    pub(super) enabled: Option<bool>,
    pub(super) targets: Option<Vec<Spanned<String>>>,
    pub(super) interval: Option<Spanned<Seconds>>,
    pub(super) slow_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pilot {
    pub(super) percent: Option<Spanned<u32>>,
    pub(super) only: Option<Vec<Spanned<String>>>,
    pub(super) except: Option<Vec<Spanned<String>>>,
    pub(super) wait: Option<Spanned<Seconds>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ipv4 {
    pub(super) internet: Option<Spanned<super::Internet>>,
    pub(super) pref64: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Nat64 {
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) pool: Option<Spanned<String>>,
    pub(super) sessions: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Relay {
    pub(super) port: Option<Spanned<u16>>,
    pub(super) client_link_layer: Option<bool>,
    pub(super) enterprise: Option<u32>,
    pub(super) tell_duid: Option<bool>,
    pub(super) recover: Option<bool>,
    pub(super) rate: Option<Spanned<u32>>,
    pub(super) prefixes_per_client: Option<Spanned<u32>>,
    pub(super) prefixes_per_lan: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Dhcp {
    pub(super) rapid_commit: Option<bool>,
    pub(super) preference: Option<u8>,
    pub(super) options: Option<Options>,
    #[serde(default)]
    pub(super) class: Vec<Spanned<Class>>,
    pub(super) allow: Option<Spanned<Vec<String>>>,
    pub(super) deny: Option<Spanned<Vec<String>>>,
    pub(super) reservations: Option<Spanned<PathBuf>>,
    pub(super) buckets: Option<Spanned<String>>,
    pub(super) server_name: Option<Spanned<String>>,
    pub(super) service_delay: Option<Spanned<Seconds>>,
    pub(super) leases: Option<std::num::NonZeroU32>,
}

/// Options by name or code, as `sixgate options` shows them.
pub(super) type Options = BTreeMap<String, Spanned<toml::Value>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Class {
    pub(super) name: String,
    #[serde(rename = "match")]
    pub(super) condition: Spanned<toml::Value>,
    pub(super) options: Option<Options>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pool {
    pub(super) prefix: Spanned<String>,
    pub(super) class: Option<Spanned<String>>,
    pub(super) length: Option<Spanned<u8>>,
    pub(super) options: Option<Options>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PdExclude {
    pub(super) length: u8,
    pub(super) subnet: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Uplink {
    pub(super) interface: Spanned<String>,
    pub(super) address: Option<bool>,
    pub(super) prefix: Option<bool>,
    pub(super) prefix_length: Option<Spanned<u8>>,
    pub(super) rapid_commit: Option<bool>,
    pub(super) reconfigure: Option<bool>,
    pub(super) release: Option<bool>,
    pub(super) resolv_conf: Option<PathBuf>,
    pub(super) hostname: Option<String>,
    pub(super) user_class: Option<Vec<Spanned<String>>>,
    pub(super) shape: Option<Spanned<Shape>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Shape {
    pub(super) down: Option<Spanned<String>>,
    pub(super) up: Option<Spanned<String>>,
    pub(super) link: Option<crate::shape::LinkKind>,
    pub(super) fairness: Option<crate::shape::Shares>,
    pub(super) diffserv: Option<bool>,
    pub(super) ack_filter: Option<bool>,
    pub(super) ecn: Option<bool>,
    pub(super) rtt_ms: Option<Spanned<u64>>,
    pub(super) probe: Option<Vec<Spanned<String>>>,
    pub(super) queue: Option<crate::shape::Which>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Lan {
    pub(super) interface: Spanned<String>,
    pub(super) name: Option<String>,
    pub(super) subnet: Option<Spanned<u64>>,
    pub(super) prefixes: Option<Vec<Spanned<String>>>,
    pub(super) slaac: Option<bool>,
    pub(super) addresses: Option<bool>,
    pub(super) delegate: Option<bool>,
    pub(super) pd_preferred: Option<bool>,
    pub(super) delegate_from: Option<Vec<Spanned<String>>>,
    pub(super) delegate_length: Option<Spanned<u8>>,
    pub(super) preferred_lifetime: Option<Spanned<Seconds>>,
    pub(super) valid_lifetime: Option<Spanned<Seconds>>,
    pub(super) ra_min_interval: Option<Spanned<Seconds>>,
    pub(super) ra_max_interval: Option<Spanned<Seconds>>,
    pub(super) router_lifetime: Option<Spanned<Seconds>>,
    pub(super) router_preference: Option<RouterPreference>,
    pub(super) mtu: Option<Spanned<u32>>,
    pub(super) captive_portal: Option<String>,
    pub(super) pref64: Option<Spanned<String>>,
    pub(super) ipv4: Option<Spanned<String>>,
    pub(super) ipv4_range: Option<Spanned<String>>,
    pub(super) ipv4_lease: Option<Spanned<Seconds>>,
    pub(super) options: Option<Options>,
    pub(super) allow: Option<Spanned<Vec<String>>>,
    pub(super) deny: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) pool: Vec<Spanned<Pool>>,
    pub(super) pd_exclude: Option<Spanned<PdExclude>>,
    pub(super) relay: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) relay_from: Option<Vec<Spanned<String>>>,
    pub(super) relay_options: Option<Options>,
    pub(super) interface_id: Option<Spanned<String>>,
    pub(super) remote_id: Option<Spanned<String>>,
    pub(super) subscriber_id: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) trust: Option<Vec<Spanned<String>>>,
    pub(super) shape: Option<Spanned<Shape>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Relays {
    pub(super) interfaces: Vec<Spanned<String>>,
    pub(super) from: Vec<Spanned<String>>,
    pub(super) supplied_options: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Subnet {
    pub(super) name: Option<String>,
    pub(super) prefixes: Option<Vec<Spanned<String>>>,
    pub(super) link_addresses: Option<Vec<Spanned<String>>>,
    pub(super) pools: Option<Vec<Spanned<String>>>,
    pub(super) delegate_from: Option<Vec<Spanned<String>>>,
    pub(super) delegate_length: Option<Spanned<u8>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) trust: Option<Vec<Spanned<String>>>,
    pub(super) preferred_lifetime: Option<Spanned<Seconds>>,
    pub(super) valid_lifetime: Option<Spanned<Seconds>>,
    pub(super) dns: Option<Vec<Spanned<String>>>,
    pub(super) domains: Option<Vec<String>>,
    pub(super) leases: Option<std::num::NonZeroU32>,
    pub(super) options: Option<Options>,
    pub(super) allow: Option<Spanned<Vec<String>>>,
    pub(super) deny: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) pool: Vec<Spanned<Pool>>,
    pub(super) pd_exclude: Option<Spanned<PdExclude>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Dns {
    pub(super) enabled: Option<bool>,
    pub(super) upstreams: Option<Vec<Spanned<String>>>,
    pub(super) dns64: Option<Spanned<String>>,
    pub(super) rate_limit: Option<bool>,
    pub(super) dnssec: Option<dnssec::Mode>,
    pub(super) dnssec_except: Option<Vec<Spanned<String>>>,
    pub(super) dnssec_anchors: Option<Spanned<String>>,
    pub(super) hosts: Option<BTreeMap<String, Vec<Spanned<String>>>>,
}

/// A time: a number of seconds, or a number with a unit (`90s`, `45m`, `12h`, `7d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Seconds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time: seconds, or a number with s, m, h or d such as \"45m\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Seconds, E> {
                u64::try_from(value)
                    .map(Seconds)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Seconds, E> {
                Ok(Seconds(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                let (number, unit) = match text.char_indices().next_back() {
                    Some((at, 's')) => (text.get(..at), 1),
                    Some((at, 'm')) => (text.get(..at), 60),
                    Some((at, 'h')) => (text.get(..at), 3600),
                    Some((at, 'd')) => (text.get(..at), 86_400),
                    _ => (Some(text), 1),
                };
                let number: u64 = number.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
                number.checked_mul(unit).map(Seconds).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Reads the text; the first thing that is not a key or not of its type ends it.
pub(super) fn parse(path: &Path, text: &str) -> Result<File, Box<Diagnostic>> {
    toml::from_str(text).map_err(|error| Box::new(explain(path, text, &error)))
}

/// Turns the parser's error into one that names the remedy.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> Diagnostic {
    let message = error.message().lines().collect::<Vec<_>>().join(": ");
    let span = error.span().unwrap_or(0..0);
    if let Some((key, known)) = unknown_field(&message) {
        let known: Vec<&str> = known.collect();
        let remedy = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this section knows: {}", known.join(", ")),
        };
        return Diagnostic::at(path, text, span, key, format!("there is no key `{key}`"), remedy);
    }
    let word = text.get(span.clone()).unwrap_or_default().trim();
    let remedy =
        if let Some(missing) = message.strip_prefix("missing field `").and_then(|m| m.split('`').next()) {
            format!("add {missing} = ... to this section")
        } else if message.starts_with("invalid type") || message.starts_with("invalid value") {
            "see `sixgate check --reference` for what each key takes".to_owned()
        } else if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c)) {
            format!("if this is text, write it in quotes: \"{word}\"")
        } else {
            "the file is TOML (https://toml.io): key = value, text in double quotes, [section], [[lan]]"
                .to_owned()
        };
    Diagnostic::at(path, text, span, "", message, remedy)
}

/// The unknown key and the known ones in serde's message.
fn unknown_field(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let mut words = message.strip_prefix("unknown field `")?.split('`');
    let key = words.next()?;
    Some((key, words.skip(1).step_by(2)))
}
