//! Who gets what: `options`, `class`, `pool`, `allow`, `deny`, `pd-exclude` and `reservations`.

use super::{Config, Diagnostic, Reader, file};
use crate::reservation;
use ipnet::Ipv6Net;
use sixgate_dhcp::lease::LinkId;
use sixgate_dhcp::options::{Given, OptionSet, Value};
use sixgate_dhcp::policy::{Exclude, Policy};
use sixgate_dhcp::reservation::Reservations;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// What the file says of who gets what.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Served {
    /// As the server takes it, with the reservations of the file that `reservations` names.
    pub(crate) policy: Policy,
    /// That file.
    pub(crate) file: Option<PathBuf>,
    /// Reservations of it that were left out, as sentences.
    pub(crate) left_out: Vec<String>,
}

impl Config {
    /// Reads the file that `reservations` names. Reservations that clash are told of as warnings.
    pub(super) fn load_reservations(&mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let Some(path) = &self.served.file else { return Ok(Vec::new()) };
        let subnets = self.subnets.iter().map(|subnet| subnet.name.as_str());
        let names: Vec<&str> = self.lans.iter().map(|lan| lan.name.as_str()).chain(subnets).collect();
        let (all, left_out) = reservation::load(path, &names)?;
        let warn = |sentence: &String| {
            let remedy = "take one of the two out of the file, and reload".to_owned();
            Diagnostic::whole(path, sentence.clone(), remedy).warning()
        };
        let warnings = left_out.iter().map(warn).collect();
        self.served.policy.reservations = all;
        self.served.left_out = left_out;
        Ok(warnings)
    }
}

/// What the keys of a LAN or a subnet say, until the classes are known.
#[derive(Debug, Default)]
pub(super) struct LanKeys {
    options: Option<file::Options>,
    allow: Option<Spanned<Vec<String>>>,
    deny: Option<Spanned<Vec<String>>>,
    pools: Vec<Spanned<file::Pool>>,
    exclude: Option<Spanned<file::PdExclude>>,
}

impl LanKeys {
    /// Takes these keys out of a LAN's.
    pub(super) fn take(lan: &mut file::Lan) -> Self {
        Self {
            options: lan.options.take(),
            allow: lan.allow.take(),
            deny: lan.deny.take(),
            pools: std::mem::take(&mut lan.pool),
            exclude: lan.pd_exclude.take(),
        }
    }

    /// The same out of a subnet's.
    pub(super) fn take_subnet(subnet: &mut file::Subnet) -> Self {
        Self {
            options: subnet.options.take(),
            allow: subnet.allow.take(),
            deny: subnet.deny.take(),
            pools: std::mem::take(&mut subnet.pool),
            exclude: subnet.pd_exclude.take(),
        }
    }
}

/// A LAN or a subnet by what matters here: its name, its own prefixes, what it delegates from.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) prefixes: Vec<Ipv6Net>,
    pub(super) delegate_from: Vec<Ipv6Net>,
}

impl Reader<'_> {
    /// Reads everything; what is wrong is among the errors.
    pub(super) fn served(&mut self, dhcp: Option<file::Dhcp>, lans: Vec<(Place, LanKeys)>) -> Served {
        let Some(dhcp) = dhcp else { return self.with_lans(Served::default(), lans) };
        let options = self.options("dhcp.options", dhcp.options);
        let file = dhcp.reservations.map(|path| {
            let path = path.into_inner();
            self.path.parent().map_or(path.clone(), |folder| folder.join(&path))
        });
        let mut policy = Policy::new(options, Reservations::default());
        for class in dhcp.class {
            let span = class.span();
            let class = class.into_inner();
            let options = self.options("dhcp.class.options", class.options);
            let (at, condition) = (class.condition.span(), value(class.condition.into_inner()));
            match policy.add_class(&class.name, &condition, options) {
                Ok(()) => {}
                Err(error) if error.path == class.name => {
                    self.error(span, "dhcp.class", error.message, error.remedy);
                }
                Err(error) => self.error(at, "dhcp.class.match", error.to_string(), error.remedy),
            }
        }
        self.rules(&mut policy, "dhcp", None, dhcp.allow, dhcp.deny);
        let served = Served { policy, file, left_out: Vec::new() };
        self.with_lans(served, lans)
    }

    fn with_lans(&mut self, mut served: Served, lans: Vec<(Place, LanKeys)>) -> Served {
        let policy = &mut served.policy;
        for (place, keys) in lans {
            let link: LinkId = place.name.as_str().into();
            let options = self.options("lan.options", keys.options);
            let exclude = keys.exclude.and_then(|exclude| self.exclude(&exclude));
            policy.add_link(link.clone(), options, exclude);
            self.rules(policy, "lan", Some(&link), keys.allow, keys.deny);
            for pool in keys.pools {
                self.pool(policy, &link, &place, pool.into_inner());
            }
        }
        served
    }

    fn rules(
        &mut self,
        policy: &mut Policy,
        section: &str,
        link: Option<&LinkId>,
        allow: Option<Spanned<Vec<String>>>,
        deny: Option<Spanned<Vec<String>>>,
    ) {
        let mut add = |names: Option<Spanned<Vec<String>>>, word: &str| {
            let Some(names) = names else { return };
            let (span, names) = (names.span(), names.into_inner());
            let (deny, allow) = if word == "deny" { (&names[..], &[][..]) } else { (&[][..], &names[..]) };
            if let Err(error) = policy.add_rules(link.cloned(), deny, allow) {
                self.error(span, &format!("{section}.{word}"), error.message, error.remedy);
            }
        };
        add(deny, "deny");
        add(allow, "allow");
    }

    fn pool(&mut self, policy: &mut Policy, link: &LinkId, place: &Place, pool: file::Pool) {
        let span = pool.prefix.span();
        let options = self.options("lan.pool.options", pool.options);
        let remedy = "write a part of the LAN's prefixes (2001:db8:1::1000/116) or of delegate-from";
        let Some(net) = self.prefix(&pool.prefix, "lan.pool.prefix", remedy) else { return };
        let delegated = place.delegate_from.iter().any(|from| from.contains(&net));
        if !delegated && !place.prefixes.iter().any(|prefix| prefix.contains(&net)) {
            let message =
                format!("{net} is no part of what LAN `{}` gives by its own configuration", place.name);
            self.error(span, "lan.pool.prefix", message, remedy);
            return;
        }
        let length = pool.length.and_then(|length| {
            let value = *length.get_ref();
            if delegated && value >= net.prefix_len() && value <= 64 {
                return Some(value);
            }
            let (message, remedy) = if delegated {
                let message = format!("prefixes of {value} bits cannot be cut from {net}");
                (message, format!("choose {} to 64", net.prefix_len()))
            } else {
                let message = "length is for pools that prefixes are delegated from".to_owned();
                (message, "leave it out, or choose a prefix within delegate-from".to_owned())
            };
            self.error(length.span(), "lan.pool.length", message, remedy);
            None
        });
        let class = pool.class.as_ref().map(|class| class.get_ref().as_str());
        if let Err(error) = policy.add_part(link.clone(), net, class, length, options) {
            let span = pool.class.map_or(span, |class| class.span());
            self.error(span, "lan.pool.class", error.message, error.remedy);
        }
    }

    fn exclude(&mut self, written: &Spanned<file::PdExclude>) -> Option<Exclude> {
        let &file::PdExclude { length, subnet } = written.get_ref();
        if (1..=64).contains(&length) {
            return Some(Exclude { length, subnet });
        }
        let message = format!("a prefix of {length} bits cannot be excluded");
        self.error(written.span(), "lan.pd-exclude", message, "write { length = 64, subnet = 0 }");
        None
    }

    /// Options of one place. Each that is wrong is told by itself.
    pub(super) fn options(&mut self, key: &str, written: Option<file::Options>) -> OptionSet {
        let mut all: Vec<Given> = Vec::new();
        let mut spans: Vec<Range<usize>> = Vec::new();
        for (name, spanned) in written.unwrap_or_default() {
            let span = spanned.span();
            match Given::new(&name, &value(spanned.into_inner())) {
                Ok(given) => {
                    all.push(given);
                    spans.push(span);
                }
                Err(error) => self.error(span, &format!("{key}.{}", error.path), error.message, error.remedy),
            }
        }
        OptionSet::new(all).unwrap_or_else(|error| {
            let span = spans.pop().unwrap_or_default();
            self.error(span, key, error.message, error.remedy);
            OptionSet::default()
        })
    }
}

/// TOML's value as options and classes take it. Numbers with a point and dates have no use there: they are told as text,
/// and refused as such.
fn value(value: toml::Value) -> Value {
    match value {
        toml::Value::Boolean(flag) => Value::Flag(flag),
        toml::Value::Integer(number) => Value::Number(number),
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Float(number) => Value::Text(number.to_string()),
        toml::Value::Datetime(date) => Value::Text(date.to_string()),
        toml::Value::Array(values) => Value::List(values.into_iter().map(self::value).collect()),
        toml::Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, value)| (key, self::value(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
