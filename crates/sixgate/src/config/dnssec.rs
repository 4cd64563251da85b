//! `dns.dnssec` and what goes with it.

use super::Reader;
use super::file;
use serde::{Deserialize, Deserializer, de};
use sixgate_dns::{Anchors, Dnssec};
use std::path::Path;

/// Where Debian's dns-root-data has the root's keys.
const ROOT_KEY: &str = "/usr/share/dns/root.key";

/// How answers are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    Off,
    #[default]
    On,
    /// Bogus answers are passed on, and counted.
    Permissive,
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Mode;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or \"permissive\"")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Mode, E> {
                Ok(if on { Mode::On } else { Mode::Off })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                match text {
                    "permissive" => Ok(Mode::Permissive),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Reader<'_> {
    /// Reads how answers are judged; nothing where they are not.
    pub(super) fn dnssec(&mut self, dns: &file::Dns, enabled: bool) -> Option<Dnssec> {
        let mode = dns.dnssec.unwrap_or_default();
        let anchors = match &dns.dnssec_anchors {
            // Without the file, what IANA published when this was written.
            None => read(Path::new(ROOT_KEY)).unwrap_or_default(),
            // It may be written down where it is not installed.
            Some(path) if path.get_ref() == ROOT_KEY => read(Path::new(ROOT_KEY)).unwrap_or_default(),
            Some(path) => match read(Path::new(path.get_ref())) {
                Ok(anchors) => anchors,
                Err(why) => {
                    let message = format!("no trust anchors in {}: {why}", path.get_ref());
                    let remedy =
                        format!("name a file with DS or DNSKEY records, or leave this out for {ROOT_KEY}");
                    self.error(path.span(), "dns.dnssec-anchors", message, remedy);
                    return None;
                }
            },
        };
        let mut dnssec = Dnssec::new(anchors);
        dnssec.permissive = mode == Mode::Permissive;
        for name in dns.dnssec_except.iter().flatten() {
            if let Err(error) = dnssec.except(name.get_ref()) {
                let remedy = "write a domain name, such as \"corp.example\"";
                self.error(name.span(), "dns.dnssec-except", error.to_string(), remedy);
            }
        }
        (mode != Mode::Off && enabled).then_some(dnssec)
    }
}

fn read(path: &Path) -> Result<Anchors, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Anchors::parse(&text).map_err(|error| error.to_string())
}
