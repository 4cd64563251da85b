//! `[ddns]`: names of clients in the zones of a DNS server that takes updates.

use super::{Reader, file};
use ipnet::IpNet;
use sixgate_dns::update::{Key, Name, label_bits};
use sixgate_endpoint::Endpoint;
use std::path::Path;
use std::time::Duration;

/// Which zones, and who is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ddns {
    /// The zone of the names.
    pub(crate) zone: Name,
    /// Prefixes whose reverse zones the server has too.
    pub(crate) reverse: Vec<IpNet>,
    pub(crate) server: Endpoint,
    /// None: updates are not signed.
    pub(crate) key: Option<Key>,
    /// For how long resolvers may keep a record.
    pub(crate) ttl: Duration,
}

impl Reader<'_> {
    /// None where something of it is wrong.
    pub(super) fn ddns(&mut self, ddns: file::Ddns) -> Option<Ddns> {
        let zone = match ddns.zone.get_ref().parse::<Name>() {
            Ok(zone) => Some(zone),
            Err(error) => {
                let remedy = "write the zone that the server lets us change, such as \"hosts.example.org\"";
                self.error(ddns.zone.span(), "ddns.zone", error.to_string(), remedy);
                None
            }
        };
        let server = match ddns.server.get_ref().parse::<Endpoint>() {
            Ok(server) if server.has_zones() => {
                let message = format!("{server} means another machine on each link");
                let remedy = "write an address that is the server's everywhere";
                self.error(ddns.server.span(), "ddns.server", message, remedy);
                None
            }
            Ok(server) => Some(server),
            Err(error) => {
                self.error(ddns.server.span(), "ddns.server", error.what(), error.remedy());
                None
            }
        };
        let mut reverse = Vec::new();
        for text in ddns.reverse.unwrap_or_default() {
            let remedy = "write the prefix of the reverse zone, such as 2001:db8::/32 or 192.0.2.0/24";
            let Some(net) = text.get_ref().parse::<IpNet>().ok().filter(|net| *net == net.trunc()) else {
                let message = format!("`{}` is no prefix, or has bits set beyond its length", text.get_ref());
                self.error(text.span(), "ddns.reverse", message, remedy);
                continue;
            };
            if Name::reverse_zone(net).is_none() {
                let step = label_bits(net);
                let message = format!("{net} is no reverse zone: theirs have lengths that {step} divides");
                self.error(text.span(), "ddns.reverse", message, "write the zone that your DNS server has");
            }
            reverse.push(net);
        }
        let key = match &ddns.key_file {
            None => {
                self.warn(
                    ddns.server.span(),
                    "ddns.key-file",
                    "updates are not signed: whoever can send from our address can change the zone",
                    "make a key with `tsig-keygen -a hmac-sha256 sixgate`, give it to both sides, and name its file in key-file",
                );
                None
            }
            Some(path) => {
                let read = || std::fs::read_to_string(Path::new(path.get_ref())).map_err(|e| e.to_string());
                match read().and_then(|text| Key::parse(&text).map_err(|error| error.to_string())) {
                    Ok(key) => Some(key),
                    Err(error) => {
                        let message = format!("no key in {}: {error}", path.get_ref());
                        let remedy = "make one with `tsig-keygen -a hmac-sha256 sixgate`";
                        self.error(path.span(), "ddns.key-file", message, remedy);
                        return None;
                    }
                }
            }
        };
        let ttl = self.seconds(ddns.ttl, "ddns.ttl", 600, 1, 86_400);
        Some(Ddns { zone: zone?, reverse, server: server?, key, ttl })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOME, finding, parse};

    #[test]
    fn names_go_nowhere_until_somebody_says_where() {
        assert!(parse(HOME).expect("a good configuration").config.ddns.is_none());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        let text = "key \"sixgate\" { algorithm hmac-sha256; secret \"AAECAwQFBgcICQoLDA0ODw==\"; };";
        std::fs::write(&file, text).expect("a file");
        let with = format!(
            "{HOME}[ddns]\nzone = \"hosts.example.org\"\nreverse = [\"2001:db8::/32\"]\nserver = \"2001:db8::53\"\n\
             key-file = \"{}\"\n",
            file.display()
        );
        let checked = parse(&with).expect("a good configuration");
        assert!(checked.warnings.is_empty());
        let ddns = checked.config.ddns.expect("where names go");
        assert_eq!((ddns.zone.to_string().as_str(), ddns.ttl.as_secs()), ("hosts.example.org", 600));
        assert_eq!(ddns.key.expect("a key").name().to_string(), "sixgate");
        let unsigned =
            with.lines().filter(|line| !line.starts_with("key-file")).collect::<Vec<_>>().join("\n");
        let warnings = parse(&unsigned).expect("a good configuration").warnings;
        assert!(warnings[0].message.contains("updates are not signed"), "{warnings:?}");
    }

    #[test]
    fn mistakes_are_named() {
        let with = |zone: &str, server: &str, more: &str| {
            finding(&format!(
                "{HOME}[ddns]\nzone = \"{zone}\"\nserver = \"{server}\"\n{more}\nkey-file = \"/none\"\n"
            ))
        };
        let key = with("example.org", "2001:db8::53", "");
        assert!(key.contains("no key in /none: No such file") && key.contains("tsig-keygen"), "{key}");
        for (net, message) in [
            ("2001:db8::/33", "lengths that 4 divides"),
            ("192.0.2.0/28", "lengths that 8 divides"),
            ("192.0.2.1/24", "bits set beyond its length"),
            ("lan", "is no prefix"),
        ] {
            let text = format!(
                "{HOME}[ddns]\nzone = \"example.org\"\nserver = \"2001:db8::53\"\nreverse = [\"{net}\"]\n"
            );
            // Beside the warning that nothing is signed.
            let told = format!("{:?}", parse(&text).expect_err("a mistake"));
            assert!(told.contains(message), "{told}");
        }
    }
}
