//! `sixgate options`: what a server can be told to give.

use crate::{Outcome, fail, print, view};
use clap::Args;
use sixgate_wire::dhcpv6::{DEFINITIONS, Definition, Shape};

/// Show which DHCPv6 options a server can be told to give, by name, code and type.
#[derive(Debug, Args)]
#[command(long_about = "\
Show which DHCPv6 options can be written into the configuration by name, and how a value of each is written:

  [dhcp]
  options = { ntp-server = [\"2001:db8::123\"], 9999 = { type = \"text\", value = \"x\" } }

An option that is not in the table is written by its code and a type: flag, u8, u16, u32, list of u8, list of u16, list of u32,
address, addresses, prefix, name, names, text, texts, hex, options, or a list of types for a record. Clients get what they ask
for; always = true beside value sends it to those too that do not ask. Options stand in [dhcp], [[lan]], [[lan.pool]], [[dhcp.class]]
and with reservations: of several, the client gets that of its reservation, else of its class, pool, LAN, server, in this order.")]
pub(crate) struct Arguments {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn command(arguments: &Arguments) -> Outcome {
    if !arguments.json {
        return print(&table());
    }
    let row = |definition: &Definition| {
        serde_json::json!({
            "name": definition.name,
            "code": definition.code.0,
            "type": definition.shape.name(),
            "title": definition.code.name(),
            "source": definition.code.source(),
            "example": example(definition.shape),
        })
    };
    match serde_json::to_string(&DEFINITIONS.iter().map(row).collect::<Vec<_>>()) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => fail(&error.to_string()),
    }
}

fn table() -> String {
    let header = ["NAME", "CODE", "SOURCE", "EXAMPLE OF A VALUE"].map(str::to_owned);
    let rows = DEFINITIONS.iter().map(|definition| {
        let source = definition.code.source().unwrap_or_default().to_owned();
        [
            definition.name.to_owned(),
            definition.code.0.to_string(),
            source,
            example(definition.shape).to_owned(),
        ]
    });
    view::columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// How a value of this form is written.
fn example(shape: Shape) -> &'static str {
    match shape {
        Shape::Flag => "true",
        Shape::Number(_) => "3600",
        Shape::Numbers(_) => "[94, 96]",
        Shape::Address => "\"2001:db8::53\"",
        Shape::Addresses => "[\"2001:db8::53\", \"2001:db8::54\"]",
        Shape::Prefix => "\"2001:db8::/32\"",
        Shape::Name => "\"aftr.example.com\"",
        Shape::Names => "[\"example.com\", \"example.net\"]",
        Shape::Text => "\"text\"",
        Shape::Texts => "[\"text\", \"text\"]",
        Shape::Octets => "\"0a:1b:2c\"",
        Shape::Record(shapes) if shapes.len() == 3 => "[\"2001:db8::53\", 0, [\"example.com\"]]",
        Shape::Record(_) => "[1, 1, 17, 88, \"2001:db8::88\", \"EXAMPLE.COM\"]",
        Shape::Suboptions => "{ 1 = { type = \"text\", value = \"x\" } }",
        Shape::NtpServer => "[\"2001:db8::123\", \"ntp.example.com\"]",
        Shape::VendorOptions => "{ enterprise = 4491, options = { 1 = { type = \"text\", value = \"x\" } } }",
        Shape::EncryptedDns => "{ name = \"dns.example\", addresses = [\"2001:db8::53\"], alpn = [\"dot\"] }",
        Shape::MapE => {
            "{ rules = [{ ipv4 = \"192.0.2.0/24\", ipv6 = \"2001:db8:ff00::/40\", ea-length = 16 }], relays = [\"2001:db8::1\"] }"
        }
        Shape::MapT => {
            "{ rules = [{ ipv4 = \"192.0.2.0/24\", ipv6 = \"2001:db8:ff00::/40\", ea-length = 16 }], default-mapping = \"2001:db8:64::/64\" }"
        }
        Shape::Lw4over6 => {
            "{ ipv4 = \"192.0.2.1\", ipv6 = \"2001:db8:1::/64\", psid-length = 6, psid = 1, relays = [\"2001:db8::1\"] }"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_dhcp::options::{Given, Value};

    fn value(value: toml::Value) -> Value {
        match value {
            toml::Value::Boolean(flag) => Value::Flag(flag),
            toml::Value::Integer(number) => Value::Number(number),
            toml::Value::Array(values) => Value::List(values.into_iter().map(self::value).collect()),
            toml::Value::Table(table) => {
                Value::Table(table.into_iter().map(|(key, value)| (key, self::value(value))).collect())
            }
            other => Value::Text(other.as_str().unwrap().to_owned()),
        }
    }

    #[test]
    fn every_example_can_be_written_so() {
        for definition in DEFINITIONS {
            let text = format!("value = {}", example(definition.shape));
            let parsed: toml::Table = toml::from_str(&text).unwrap();
            let value = value(parsed["value"].clone());
            Given::new(definition.name, &value)
                .unwrap_or_else(|error| panic!("{}: {error}", definition.name));
        }
        assert!(table().contains("sztp-redirect") && table().contains("RFC 8572"));
    }
}
