//! A reservation in words: what a line of a file, the command line and the control socket say.

use serde::{Deserialize, Deserializer, Serialize};
use sixgate_dhcp::hex;
use sixgate_dhcp::lease::Resource;
use sixgate_dhcp::options::{Given, OptionSet, Value};
use sixgate_dhcp::reservation::{Origin, Owner, Reservation, line_of_name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Its words, by the names that a file's columns have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Draft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iaid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subscriber_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lan: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more")]
    pub(crate) address: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more")]
    pub(crate) prefix: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) options: BTreeMap<String, serde_json::Value>,
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "text, or a list of texts")]
    enum Texts {
        One(String),
        More(Vec<String>),
    }
    Texts::deserialize(deserializer).map(|texts| match texts {
        Texts::One(text) => vec![text],
        Texts::More(texts) => texts,
    })
}

/// What is wrong with a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The name of the word.
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Wrong {
    fn new(key: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key, message: message.into(), remedy: remedy.into() }
    }

    /// For where there is no line to point at.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {}", self.message, self.remedy)
    }
}

impl Draft {
    /// Whose it is.
    pub(crate) fn owner(&self) -> Result<Owner, Wrong> {
        let named = [&self.duid, &self.mac, &self.interface_id, &self.remote_id, &self.subscriber_id];
        let remedy = "write exactly one of duid, mac, interface-id, remote-id and subscriber-id";
        match named.iter().filter(|name| name.is_some()).count() {
            1 => {}
            0 => return Err(Wrong::new("duid", "it is nobody's", remedy)),
            _ => return Err(Wrong::new("duid", "it names more than one owner", remedy)),
        }
        if self.iaid.is_some() && self.duid.is_none() {
            return Err(Wrong::new(
                "iaid",
                "an IAID is one of a client's",
                "write its duid too, or leave iaid out",
            ));
        }
        if let Some(text) = &self.duid {
            let duid = text.parse().map_err(|error| {
                Wrong::new("duid", format!("{error}"), "write it as `sixgate leases` shows it")
            })?;
            return Ok(match self.iaid {
                Some(iaid) => Owner::Association(duid, iaid),
                None => Owner::Duid(duid),
            });
        }
        if let Some(text) = &self.mac {
            let octets = hex::read(text).filter(|octets| (1..=20).contains(&octets.len()));
            let wrong =
                || Wrong::new("mac", format!("`{text}` is no hardware address"), "write 02:00:5e:10:00:01");
            return octets.map(|octets| Owner::Mac(octets.into())).ok_or_else(wrong);
        }
        let name = |key, text: &str| {
            let wrong = || {
                Wrong::new(
                    key,
                    format!("`{text}` is no name of a line"),
                    "write text, or 0x and pairs of hexadecimal digits",
                )
            };
            line_of_name(text).ok_or_else(wrong)
        };
        if let Some(text) = &self.interface_id {
            return name("interface-id", text).map(Owner::Interface);
        }
        if let Some(text) = &self.subscriber_id {
            return name("subscriber-id", text).map(Owner::Subscriber);
        }
        let text = self.remote_id.as_deref().unwrap_or_default();
        let parts = text.split_once(':').and_then(|(number, name)| Some((number.parse::<u32>().ok()?, name)));
        let remedy = "write the enterprise number, a colon and the name, such as 4491:line-7";
        let (number, rest) = parts.ok_or_else(|| {
            Wrong::new("remote-id", format!("`{text}` does not begin with an enterprise number"), remedy)
        })?;
        Ok(Owner::Remote([&number.to_be_bytes()[..], &name("remote-id", rest)?].concat().into()))
    }

    /// What it says, checked.
    pub(crate) fn read(&self, origin: Origin) -> Result<Reservation, Wrong> {
        let owner = self.owner()?;
        let mut resources = Vec::new();
        for (key, texts) in [("address", &self.address), ("prefix", &self.prefix)] {
            for text in texts {
                let found = text.parse::<Resource>();
                let fits =
                    |resource: &Resource| matches!(resource, Resource::Address(_)) == (key == "address");
                match found.ok().filter(fits) {
                    Some(resource) if is_given(resource) => resources.push(resource),
                    Some(_) => {
                        let message =
                            format!("`{text}` is for nobody: it is link-local, multicast or loopback");
                        return Err(Wrong::new(key, message, "reserve one of a LAN's networks"));
                    }
                    None => {
                        let example = if key == "address" { "2001:db8::7" } else { "2001:db8:100::/56" };
                        let message = format!("`{text}` is no IPv6 {key}");
                        return Err(Wrong::new(
                            key,
                            message,
                            format!("write one, such as {example}, with no bit set beyond its length"),
                        ));
                    }
                }
            }
        }
        let hostname = self.hostname.clone().filter(|name| !name.is_empty());
        if let Some(name) = &hostname
            && !sixgate_wire::domain::encode(name, &mut Vec::new())
        {
            return Err(Wrong::new(
                "hostname",
                format!("`{name}` is no name"),
                "write letters, digits and hyphens",
            ));
        }
        let options = self.options.iter().map(|(name, value)| Given::new(name, &self::value(value)));
        let options = options.collect::<Result<Vec<_>, _>>().and_then(OptionSet::new);
        let options = options.map_err(|error| Wrong::new("options", error.to_string(), error.remedy))?;
        if resources.is_empty() && hostname.is_none() && options.is_empty() {
            return Err(Wrong::new(
                "address",
                "nothing is reserved",
                "write an address, a prefix, a hostname or options",
            ));
        }
        let link = self.lan.as_deref().filter(|lan| !lan.is_empty()).map(Into::into);
        Ok(Reservation { owner, link, resources, hostname, options: Arc::new(options), origin })
    }
}

/// Whether it can be anybody's at all.
fn is_given(resource: Resource) -> bool {
    let first = resource.net().network();
    !first.is_multicast() && !first.is_unicast_link_local() && !first.is_loopback() && !first.is_unspecified()
}

/// JSON's value as options take it.
fn value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Text(String::new()),
        serde_json::Value::Bool(flag) => Value::Flag(*flag),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::Text(number.to_string()), Value::Number)
        }
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(values) => Value::List(values.iter().map(self::value).collect()),
        serde_json::Value::Object(table) => {
            Value::Table(table.iter().map(|(key, value)| (key.clone(), self::value(value))).collect())
        }
    }
}
