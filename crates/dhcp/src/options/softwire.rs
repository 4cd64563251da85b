//! MAP-E, MAP-T and Lightweight 4over6 as people write them (RFC 7598).

use super::encode::{address, field, prefix, table, text, up_to};
use super::{Value, ValueError};
use ipnet::Ipv4Net;
use sixgate_wire::dhcpv6::{Builder, DhcpOption, Options, S46PortParameters, S46Rule, Shape};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

type Table = BTreeMap<String, Value>;

const PORTS: [&str; 3] = ["psid-offset", "psid-length", "psid"];

pub(super) fn put(path: &str, shape: Shape, value: &Value, b: &mut Builder<'_>) -> Result<(), ValueError> {
    match shape {
        Shape::MapE => {
            let table = table(path, value, &["rules", "relays"])?;
            rules(path, table, b)?;
            relays(path, table, b)
        }
        Shape::MapT => {
            let table = table(path, value, &["rules", "default-mapping"])?;
            rules(path, table, b)?;
            let at = format!("{path}.default-mapping");
            let net = prefix(&at, field(path, table, "default-mapping")?)?;
            if net.prefix_len() > 96 {
                let message = format!("{net} leaves no room for an IPv4 address");
                return Err(ValueError::new(&at, message, "write a prefix of at most 96 bits"));
            }
            b.s46_dmr(net);
            Ok(())
        }
        _ => {
            let keys = [&["relays", "ipv4", "ipv6"][..], &PORTS].concat();
            let table = table(path, value, &keys)?;
            relays(path, table, b)?;
            if table.contains_key("ipv4") || table.contains_key("ipv6") {
                let at = format!("{path}.ipv4");
                let written = field(path, table, "ipv4")?;
                let ipv4: Ipv4Addr = text(&at, written)?.parse().map_err(|_| {
                    let message = format!("{written} is not an IPv4 address");
                    ValueError::new(&at, message, "write one, such as \"192.0.2.1\"")
                })?;
                let ipv6 = prefix(&format!("{path}.ipv6"), field(path, table, "ipv6")?)?;
                let ports = ports(path, table)?;
                b.s46_bind(ipv4, ipv6, |b| {
                    if let Some(ports) = ports {
                        b.s46_port_parameters(ports);
                    }
                });
            }
            Ok(())
        }
    }
}

fn rules(path: &str, table: &Table, b: &mut Builder<'_>) -> Result<(), ValueError> {
    let at = format!("{path}.rules");
    let rules = match field(path, table, "rules")? {
        Value::List(rules) if !rules.is_empty() => rules,
        _ => {
            return Err(ValueError::new(
                &at,
                "there is no rule",
                "write rules = [{ ipv4 = ..., ipv6 = ..., ea-length = ... }]",
            ));
        }
    };
    for (number, rule) in rules.iter().enumerate() {
        let path = format!("{at}[{number}]");
        let keys = [&["ipv4", "ipv6", "ea-length", "forwarding"][..], &PORTS].concat();
        let table = self::table(&path, rule, &keys)?;
        let written = field(&path, table, "ipv4")?;
        let ipv4 = text(&path, written)?.parse::<Ipv4Net>().ok().filter(|net| net.trunc() == *net);
        let ipv4 = ipv4.ok_or_else(|| {
            let message = format!("{written} is not an IPv4 prefix with no bit set beyond its length");
            ValueError::new(&format!("{path}.ipv4"), message, "write one, such as \"192.0.2.0/24\"")
        })?;
        let ipv6 = prefix(&format!("{path}.ipv6"), field(&path, table, "ipv6")?)?;
        let ea_length = up_to(&format!("{path}.ea-length"), field(&path, table, "ea-length")?, 48)? as u8;
        if ea_length + ipv6.prefix_len() > 128 {
            let message = format!(
                "{ea_length} bits behind a prefix of {} are more than an address has",
                ipv6.prefix_len()
            );
            return Err(ValueError::new(&path, message, "shorten ipv6 or ea-length"));
        }
        let forwarding = match table.get("forwarding") {
            None => false,
            Some(Value::Flag(flag)) => *flag,
            Some(other) => {
                let message = format!("`forwarding` is {}", other.kind());
                return Err(ValueError::new(&path, message, "write true or false"));
            }
        };
        let ports = ports(&path, table)?;
        b.s46_rule(forwarding, ea_length, (ipv4.network(), ipv4.prefix_len()), ipv6, |b| {
            if let Some(ports) = ports {
                b.s46_port_parameters(ports);
            }
        });
    }
    Ok(())
}

fn relays(path: &str, table: &Table, b: &mut Builder<'_>) -> Result<(), ValueError> {
    let at = format!("{path}.relays");
    match field(path, table, "relays")? {
        Value::List(relays) if !relays.is_empty() => {
            for (number, relay) in relays.iter().enumerate() {
                b.s46_border_relay(address(&format!("{at}[{number}]"), relay)?);
            }
            Ok(())
        }
        _ => Err(ValueError::new(&at, "there is no relay", "write relays = [\"2001:db8::1\"]")),
    }
}

/// RFC 7598 section 4.5.
fn ports(path: &str, table: &Table) -> Result<Option<S46PortParameters>, ValueError> {
    if !PORTS.iter().any(|key| table.contains_key(*key)) {
        return Ok(None);
    }
    let read = |key: &str, default: Option<i64>, most: u32| {
        let default = default.map(Value::Number);
        let value = table.get(key).or(default.as_ref());
        let missing = || ValueError::new(path, format!("`{key}` is missing"), format!("add {key} = ..."));
        up_to(&format!("{path}.{key}"), value.ok_or_else(missing)?, most)
    };
    // RFC 7597 section 5.1: the offset is 6 where nothing else is said.
    let offset = read("psid-offset", Some(6), 15)? as u8;
    let psid_length = read("psid-length", None, 16)? as u8;
    let psid = read("psid", Some(0), (1_u32 << psid_length) - 1)? as u16;
    if offset + psid_length > 16 {
        let message =
            format!("an offset of {offset} and a PSID of {psid_length} bits are more than a port has");
        return Err(ValueError::new(path, message, "psid-offset and psid-length together are at most 16"));
    }
    Ok(Some(S46PortParameters { offset, psid_length, psid }))
}

/// What a container holds, as it would be written; `None` where it holds anything else.
pub(super) fn describe(shape: Shape, data: &[u8]) -> Option<Value> {
    let mut table = Table::new();
    let (mut rules, mut relays) = (Vec::new(), Vec::new());
    for option in Options::parse(data).ok()?.iter() {
        match option {
            DhcpOption::S46Rule(rule) if shape != Shape::Lw4over6 => {
                rules.push(Value::Table(described_rule(&rule)?));
            }
            DhcpOption::S46BorderRelay(relay) if shape != Shape::MapT => {
                relays.push(Value::Text(relay.to_string()));
            }
            DhcpOption::S46DefaultMapping(net) if shape == Shape::MapT => {
                table.insert("default-mapping".into(), Value::Text(net.to_string()));
            }
            DhcpOption::S46Bind(bind) if shape == Shape::Lw4over6 => {
                table.insert("ipv4".into(), Value::Text(bind.ipv4.to_string()));
                table.insert("ipv6".into(), Value::Text(bind.ipv6.to_string()));
                describe_ports(bind.options, &mut table)?;
            }
            _ => return None,
        }
    }
    if shape != Shape::Lw4over6 {
        table.insert("rules".into(), Value::List(rules));
    }
    if shape != Shape::MapT {
        table.insert("relays".into(), Value::List(relays));
    }
    Some(Value::Table(table))
}

fn described_rule(rule: &S46Rule<'_>) -> Option<Table> {
    let mut table = Table::new();
    table.insert("ipv4".into(), Value::Text(format!("{}/{}", rule.ipv4, rule.ipv4_length)));
    table.insert("ipv6".into(), Value::Text(rule.ipv6.to_string()));
    table.insert("ea-length".into(), Value::Number(rule.ea_length.into()));
    table.insert("forwarding".into(), Value::Flag(rule.flags & S46Rule::FORWARDING != 0));
    describe_ports(rule.options, &mut table)?;
    Some(table)
}

fn describe_ports(options: Options<'_>, table: &mut Table) -> Option<()> {
    for option in options.iter() {
        let DhcpOption::S46PortParameters(ports) = option else { return None };
        for (key, value) in PORTS.iter().zip([u16::from(ports.offset), ports.psid_length.into(), ports.psid])
        {
            table.insert((*key).to_owned(), Value::Number(value.into()));
        }
    }
    Some(())
}
