//! From an option's octets to the value that a person would write.

use super::{Value, softwire};
use sixgate_wire::dhcpv6::{
    Definition, DhcpOption, EncryptedDns, NtpServer, OptionCode, Options, Shape, alpn, numbers, short_prefix,
};
use std::collections::BTreeMap;

/// What an option says, in the words of the table. Where its code or its content is not known, it is octets of the type
/// `hex`, which can be written so too.
pub fn describe(code: OptionCode, data: &[u8]) -> Value {
    let known = Definition::of(code).and_then(|definition| describe_as(code, definition.shape, data));
    known.unwrap_or_else(|| typed_hex(data))
}

/// The same for an option whose form is known otherwise; `None` where the octets do not have it.
pub fn describe_as(code: OptionCode, shape: Shape, data: &[u8]) -> Option<Value> {
    let text = |octets: &[u8]| std::str::from_utf8(octets).ok().map(Value::from);
    Some(match shape {
        Shape::Flag => return data.is_empty().then_some(Value::Flag(true)),
        Shape::Number(width) if data.len() == usize::from(width) => {
            Value::Number(numbers(data, width.into()).next()?.into())
        }
        Shape::Numbers(width) if !data.is_empty() && data.len().is_multiple_of(width.max(1).into()) => {
            Value::List(numbers(data, width.into()).map(|number| Value::Number(number.into())).collect())
        }
        Shape::Address => {
            let octets: [u8; 16] = data.try_into().ok()?;
            Value::Text(std::net::Ipv6Addr::from(octets).to_string())
        }
        Shape::Prefix => {
            let (prefix, rest) = short_prefix(data)?;
            return rest.is_empty().then(|| Value::Text(prefix.to_string()));
        }
        Shape::Text => text(data)?,
        Shape::Octets => hex(data),
        Shape::Record(shapes) => return record(code, shapes, data),
        Shape::Suboptions => suboptions(Options::parse(data).ok()?),
        Shape::VendorOptions => {
            let (enterprise, rest) = data.split_first_chunk::<4>()?;
            let enterprise = Value::Number(u32::from_be_bytes(*enterprise).into());
            let options = suboptions(Options::parse(rest).ok()?);
            Value::Table(BTreeMap::from([("enterprise".into(), enterprise), ("options".into(), options)]))
        }
        Shape::MapE | Shape::MapT | Shape::Lw4over6 => return softwire::describe(shape, data),
        Shape::Addresses
        | Shape::Name
        | Shape::Names
        | Shape::Texts
        | Shape::NtpServer
        | Shape::EncryptedDns => {
            return decoded(DhcpOption::decode_as(code, shape, data)?);
        }
        Shape::Number(_) | Shape::Numbers(_) => return None,
    })
}

/// What the wire's own views hold.
fn decoded(option: DhcpOption<'_>) -> Option<Value> {
    let list = |texts: &mut dyn Iterator<Item = String>| Value::List(texts.map(Value::Text).collect());
    Some(match option {
        DhcpOption::AddressList { addresses, .. } => {
            list(&mut addresses.iter().map(|address| address.to_string()))
        }
        DhcpOption::NameList { names, .. } => list(&mut names.iter()),
        DhcpOption::Texts { texts, .. } => {
            let texts = texts.iter().map(|octets| std::str::from_utf8(octets).ok().map(Value::from));
            Value::List(texts.collect::<Option<_>>()?)
        }
        DhcpOption::NtpServer(NtpServer::Address(address) | NtpServer::Multicast(address)) => {
            Value::Text(address.to_string())
        }
        DhcpOption::NtpServer(NtpServer::Name(name)) => Value::Text(name.iter().next()?),
        DhcpOption::EncryptedDns(resolver) => encrypted(&resolver)?,
        _ => return None,
    })
}

fn encrypted(resolver: &EncryptedDns<'_>) -> Option<Value> {
    let mut table = BTreeMap::from([
        ("priority".to_owned(), Value::Number(resolver.priority.into())),
        ("name".to_owned(), Value::Text(resolver.name.iter().next()?)),
    ]);
    if let Some(addresses) = resolver.addresses {
        let addresses = addresses.iter().map(|address| Value::Text(address.to_string()));
        table.insert("addresses".to_owned(), Value::List(addresses.collect()));
    }
    for (key, value) in resolver.parameters() {
        let (key, value) = match key {
            EncryptedDns::ALPN => {
                let protocols = alpn(value).map(|octets| std::str::from_utf8(octets).ok().map(Value::from));
                ("alpn".to_owned(), Value::List(protocols.collect::<Option<_>>()?))
            }
            EncryptedDns::PORT if value.len() == 2 => {
                ("port".to_owned(), Value::Number(numbers(value, 2).next()?.into()))
            }
            EncryptedDns::DOHPATH => ("dohpath".to_owned(), Value::from(std::str::from_utf8(value).ok()?)),
            other => (format!("key{other}"), hex(value)),
        };
        table.insert(key, value);
    }
    Some(Value::Table(table))
}

fn record(code: OptionCode, shapes: &[Shape], data: &[u8]) -> Option<Value> {
    let mut rest = data;
    let mut values = Vec::new();
    for (at, shape) in shapes.iter().enumerate() {
        let length = match shape {
            _ if at + 1 == shapes.len() => rest.len(),
            Shape::Number(width) => usize::from(*width),
            Shape::Address => 16,
            Shape::Prefix => 1 + usize::from(*rest.first()?).div_ceil(8),
            // Up to its root label.
            Shape::Name => {
                let mut end = 0;
                while *rest.get(end)? > 0 {
                    end += usize::from(*rest.get(end)?) + 1;
                }
                end + 1
            }
            _ => return None,
        };
        let (part, after) = rest.split_at_checked(length)?;
        values.push(describe_as(code, *shape, part)?);
        rest = after;
    }
    Some(Value::List(values))
}

/// Options of an option whose forms nobody knows.
fn suboptions(options: Options<'_>) -> Value {
    let each = options.raw().map(|(code, data)| (code.0.to_string(), typed_hex(data)));
    Value::Table(each.collect())
}

fn typed_hex(data: &[u8]) -> Value {
    Value::Table(BTreeMap::from([("type".to_owned(), Value::from("hex")), ("value".to_owned(), hex(data))]))
}

fn hex(data: &[u8]) -> Value {
    Value::Text(crate::hex::write(data))
}
