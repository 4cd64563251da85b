//! From a value to an option's octets.

use super::{Form, Given, LONGEST_OPTION, Value, ValueError, softwire};
use sixgate_wire::dhcpv6::{Builder, Definition, EncryptedDns, NtpServer, OptionCode, Shape};
use sixgate_wire::domain;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

type Table = BTreeMap<String, Value>;

/// Suboptions nest no deeper.
const DEEPEST: usize = 4;

/// Keys of a table that says more of an option than its value.
const TYPE: &str = "type";
const VALUE: &str = "value";
const ALWAYS: &str = "always";

pub(super) fn given(key: &str, value: &Value) -> Result<Given, ValueError> {
    let (code, known) = which(key)?;
    let (form, value, always) = unwrap(key, known, value)?;
    let mut contents = Vec::new();
    match (&form, value) {
        (Form::One(shape), Value::List(values)) if shape.repeats() => {
            if values.is_empty() {
                return Err(ValueError::new(
                    key,
                    "the list is empty",
                    "write at least one, or leave the option out",
                ));
            }
            for (at, value) in values.iter().enumerate() {
                contents.push(content(&format!("{key}[{at}]"), &form, value)?);
            }
        }
        _ => contents.push(content(key, &form, value)?),
    }
    if code == OptionCode::VENDOR_OPTS {
        one_of_each(key, &contents)?;
    }
    Ok(Given { code, contents, always })
}

/// What there is of one enterprise stands in one option (RFC 9915 section 21.17).
fn one_of_each(key: &str, contents: &[Vec<u8>]) -> Result<(), ValueError> {
    for (at, content) in contents.iter().enumerate() {
        let earlier = contents.get(..at).unwrap_or_default();
        if let Some(enterprise) = content.first_chunk::<4>()
            && earlier.iter().any(|other| other.starts_with(enterprise))
        {
            let number = u32::from_be_bytes(*enterprise);
            return Err(ValueError::new(
                &format!("{key}[{at}]"),
                format!("enterprise {number} stands twice, and clients need not look at the second"),
                "write all its options in one table",
            ));
        }
    }
    Ok(())
}

/// The option that a name or a code stands for.
fn which(key: &str) -> Result<(OptionCode, Option<Shape>), ValueError> {
    if let Some(definition) = Definition::named(key) {
        return Ok((definition.code, Some(definition.shape)));
    }
    let Ok(number) = key.parse::<u16>() else {
        let remedy = "write one of the names that `sixgate options` shows, or a code: 9999 = { type = \"text\", value = \"...\" }";
        return Err(ValueError::new(key, format!("there is no option `{key}`"), remedy));
    };
    let code = OptionCode(number);
    match Definition::of(code) {
        Some(definition) => Ok((code, Some(definition.shape))),
        None if is_protocols(code) => Err(ValueError::new(
            key,
            format!(
                "option {number} ({code}) belongs to the protocol itself: the server writes it, or a relay agent or client does"
            ),
            "leave it out",
        )),
        None => Ok((code, None)),
    }
}

/// Options that are no configuration: written by the server itself, by clients, relay agents or failover partners, or parts
/// of other options.
fn is_protocols(code: OptionCode) -> bool {
    matches!(code.0, 0..=16 | 18..=20 | 25 | 26 | 37..=39 | 43..=48 | 53 | 61 | 62 | 66..=68 | 79..=81 | 85 | 87
        | 89..=93 | 100..=102 | 105..=110 | 112 | 114..=135 | 138..=140 | 148)
}

/// What a table with `value` says besides.
fn unwrap<'a>(
    key: &str,
    known: Option<Shape>,
    value: &'a Value,
) -> Result<(Form, &'a Value, bool), ValueError> {
    let mut form = known.map(Form::One);
    let mut always = false;
    let mut inner = value;
    if let Value::Table(table) = value
        && let Some(written) = table.get(VALUE)
    {
        inner = written;
        for (word, said) in table {
            match (word.as_str(), said) {
                (VALUE, _) => {}
                (TYPE, said) => form = Some(self::form(&format!("{key}.type"), said)?),
                (ALWAYS, Value::Flag(flag)) => always = *flag,
                (ALWAYS, other) => {
                    let message = format!("`always` is {}", other.kind());
                    return Err(ValueError::new(key, message, "write always = true or leave it out"));
                }
                (word, _) => {
                    let message = format!("there is no key `{word}` beside `value`");
                    return Err(ValueError::new(key, message, "write type, value and always"));
                }
            }
        }
    }
    match form {
        Some(form) => Ok((form, inner, always)),
        None => Err(ValueError::new(
            key,
            format!("which form option {key} has is not known"),
            format!("write {key} = {{ type = \"text\", value = \"...\" }}; types are {}", words()),
        )),
    }
}

/// Forms that can be written as a type.
const TYPES: [Shape; 16] = [
    Shape::Flag,
    Shape::Number(1),
    Shape::Number(2),
    Shape::Number(4),
    Shape::Numbers(1),
    Shape::Numbers(2),
    Shape::Numbers(4),
    Shape::Address,
    Shape::Addresses,
    Shape::Prefix,
    Shape::Name,
    Shape::Names,
    Shape::Text,
    Shape::Texts,
    Shape::Octets,
    Shape::Suboptions,
];

fn words() -> String {
    TYPES.map(Shape::name).join(", ")
}

fn form(path: &str, said: &Value) -> Result<Form, ValueError> {
    let one = |said: &Value| {
        let found = match said {
            Value::Text(word) => TYPES.into_iter().find(|shape| shape.name() == word),
            _ => None,
        };
        let remedy = || format!("write one of {}, or a list of them", words());
        found.ok_or_else(|| ValueError::new(path, format!("{said} is no type"), remedy()))
    };
    let Value::List(list) = said else { return one(said).map(Form::One) };
    let shapes = list.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if shapes.is_empty() || shapes.iter().rev().skip(1).any(|shape| !has_end(*shape)) {
        let message = "what is in the middle of a record must end by itself";
        return Err(ValueError::new(
            path,
            message,
            "use u8, u16, u32, address, prefix and name before the last",
        ));
    }
    Ok(Form::Record(shapes))
}

/// Whether a reader sees where it ends.
fn has_end(shape: Shape) -> bool {
    matches!(shape, Shape::Number(_) | Shape::Address | Shape::Prefix | Shape::Name)
}

/// The octets of one option.
fn content(path: &str, form: &Form, value: &Value) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    match form {
        Form::One(shape) => put(path, *shape, value, 0, &mut out)?,
        Form::Record(shapes) => record(path, shapes, value, 0, &mut out)?,
    }
    if out.len() > LONGEST_OPTION {
        return Err(ValueError::new(
            path,
            format!("it takes {} octets", out.len()),
            format!("keep it below {LONGEST_OPTION}: an answer is one datagram"),
        ));
    }
    Ok(out)
}

fn record(
    path: &str,
    shapes: &[Shape],
    value: &Value,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let values = list(path, value)?;
    if values.len() != shapes.len() {
        let message = format!("{} values stand where {} are needed", values.len(), shapes.len());
        let wanted: Vec<_> = shapes.iter().map(|shape| shape.name()).collect();
        return Err(ValueError::new(path, message, format!("write [{}]", wanted.join(", "))));
    }
    for (at, (shape, value)) in shapes.iter().zip(values).enumerate() {
        put(&format!("{path}[{at}]"), *shape, value, depth, out)?;
    }
    Ok(())
}

fn put(path: &str, shape: Shape, value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match shape {
        Shape::Flag if *value == Value::Flag(true) => {}
        Shape::Flag => {
            return Err(ValueError::new(path, "the option is there or not", "write true, or leave it out"));
        }
        Shape::Number(width) => number(path, width, value, out)?,
        Shape::Numbers(width) => each(path, value, |path, value| number(path, width, value, out))?,
        Shape::Address => out.extend(address(path, value)?.octets()),
        Shape::Addresses if path == "dhcp4o6-servers" && *value == Value::List(Vec::new()) => {}
        Shape::Addresses => each(path, value, |path, value| {
            out.extend(address(path, value)?.octets());
            Ok(())
        })?,
        Shape::Prefix => {
            let net = prefix(path, value)?;
            let octets = net.network().octets();
            out.push(net.prefix_len());
            out.extend(octets.iter().take(usize::from(net.prefix_len()).div_ceil(8)));
        }
        Shape::Name => name(path, value, out)?,
        Shape::Names => each(path, value, |path, value| name(path, value, out))?,
        Shape::Text => out.extend(text(path, value)?.as_bytes()),
        Shape::Texts => each(path, value, |path, value| counted(path, text(path, value)?.as_bytes(), out))?,
        Shape::Octets => out.extend(octets(path, value)?),
        Shape::Record(shapes) => record(path, shapes, value, depth, out)?,
        Shape::Suboptions => suboptions(path, value, depth, out)?,
        Shape::NtpServer => ntp(path, value, out)?,
        Shape::VendorOptions => {
            let table = table(path, value, &["enterprise", "options"])?;
            number(&format!("{path}.enterprise"), 4, field(path, table, "enterprise")?, out)?;
            let options = table.get("options").cloned().unwrap_or_else(|| Value::Table(Table::new()));
            suboptions(&format!("{path}.options"), &options, depth, out)?;
        }
        Shape::EncryptedDns => encrypted(path, value, out)?,
        Shape::MapE | Shape::MapT | Shape::Lw4over6 => {
            let mut room = vec![0; LONGEST_OPTION];
            let mut b = Builder::message(&mut room, sixgate_wire::dhcpv6::MessageType(0), <_>::default());
            softwire::put(path, shape, value, &mut b)?;
            let written = b
                .finish()
                .map_err(|_| ValueError::new(path, "it does not fit into an answer", "write fewer rules"))?;
            // Behind the header of a message that was begun only to write into.
            out.extend(written.get(4..).unwrap_or_default());
        }
    }
    Ok(())
}

/// Suboptions by code: `1 = { type = "text", value = "x" }`.
fn suboptions(path: &str, value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let Value::Table(table) = value else {
        let remedy = "write { 1 = { type = \"text\", value = \"...\" } }";
        return Err(ValueError::new(path, format!("this is {}", value.kind()), remedy));
    };
    if depth >= DEEPEST {
        return Err(ValueError::new(path, "options nest too deep", format!("nest at most {DEEPEST} levels")));
    }
    let mut numbered: Vec<(u16, &String, &Value)> = Vec::new();
    for (key, value) in table {
        let code = key.parse().map_err(|_| {
            ValueError::new(path, format!("`{key}` is no code"), "write a number of 0 to 65535")
        })?;
        numbered.push((code, key, value));
    }
    numbered.sort_by_key(|(code, ..)| *code);
    for (code, key, value) in numbered {
        let path = format!("{path}.{key}");
        let (form, value, _) = unwrap(&path, None, value)?;
        let mut inner = Vec::new();
        match form {
            Form::One(shape) => put(&path, shape, value, depth + 1, &mut inner)?,
            Form::Record(shapes) => record(&path, &shapes, value, depth + 1, &mut inner)?,
        }
        out.extend(code.to_be_bytes());
        counted(&path, &inner, out)?;
    }
    Ok(())
}

fn ntp(path: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let text = text(path, value)?;
    let mut inner = Vec::new();
    let code = if let Ok(address) = text.parse::<Ipv6Addr>() {
        inner.extend(address.octets());
        if address.is_multicast() { NtpServer::MULTICAST } else { NtpServer::ADDRESS }
    } else {
        name(path, value, &mut inner)?;
        NtpServer::NAME
    };
    out.extend(code.0.to_be_bytes());
    counted(path, &inner, out)
}

/// RFC 9463 section 4.1. Where it is, is left out only together with everything else.
fn encrypted(path: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let table = table(path, value, &["priority", "name", "addresses", "alpn", "port", "dohpath"])?;
    match table.get("priority") {
        None => out.extend([0, 1]),
        Some(Value::Number(0)) => {
            let message = "a priority of 0 is an alias, which stands for nothing here";
            return Err(ValueError::new(path, message, "count from 1: the lower, the better"));
        }
        Some(priority) => number(&format!("{path}.priority"), 2, priority, out)?,
    }
    let mut inner = Vec::new();
    name(&format!("{path}.name"), field(path, table, "name")?, &mut inner)?;
    counted(path, &inner, out)?;
    let Some(addresses) = table.get("addresses") else {
        return match ["alpn", "port", "dohpath"].iter().find(|key| table.contains_key(**key)) {
            Some(key) => Err(ValueError::new(
                path,
                format!("`{key}` stands without `addresses`"),
                "add addresses = [...], or leave all but the name out: clients then ask for the rest",
            )),
            None => Ok(()),
        };
    };
    inner.clear();
    put(&format!("{path}.addresses"), Shape::Addresses, addresses, 0, &mut inner)?;
    counted(path, &inner, out)?;
    inner.clear();
    let at = format!("{path}.alpn");
    each(&at, field(path, table, "alpn")?, |path, value| {
        let text = text(path, value)?;
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0);
        let length = length.ok_or_else(|| {
            ValueError::new(path, format!("{text:?} is no protocol"), "write dot, doq, h2 or h3")
        })?;
        inner.push(length);
        inner.extend(text.as_bytes());
        Ok(())
    })?;
    out.extend(EncryptedDns::ALPN.to_be_bytes());
    counted(path, &inner, out)?;
    if let Some(port) = table.get("port") {
        out.extend(EncryptedDns::PORT.to_be_bytes());
        out.extend([0, 2]);
        number(&format!("{path}.port"), 2, port, out)?;
    }
    if let Some(template) = table.get("dohpath") {
        out.extend(EncryptedDns::DOHPATH.to_be_bytes());
        counted(path, text(path, template)?.as_bytes(), out)?;
    }
    Ok(())
}

fn counted(path: &str, octets: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let length = u16::try_from(octets.len()).map_err(|_| {
        ValueError::new(path, "it is too long", format!("keep it below {LONGEST_OPTION} octets"))
    })?;
    out.extend(length.to_be_bytes());
    out.extend(octets);
    Ok(())
}

/// Each value of a list, at least one. One that stands alone is a list of itself.
fn each<'v>(
    path: &str,
    value: &'v Value,
    mut f: impl FnMut(&str, &'v Value) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    match value {
        Value::List(values) if values.is_empty() => {
            Err(ValueError::new(path, "the list is empty", "write at least one, or leave the option out"))
        }
        Value::List(values) => {
            values.iter().enumerate().try_for_each(|(at, value)| f(&format!("{path}[{at}]"), value))
        }
        one => f(path, one),
    }
}

fn list<'v>(path: &str, value: &'v Value) -> Result<&'v [Value], ValueError> {
    match value {
        Value::List(values) => Ok(values),
        other => Err(ValueError::new(path, format!("this is {}", other.kind()), "write a list: [...]")),
    }
}

pub(super) fn table<'v>(path: &str, value: &'v Value, keys: &[&str]) -> Result<&'v Table, ValueError> {
    let remedy = || format!("write a table with {}", keys.join(", "));
    let Value::Table(table) = value else {
        return Err(ValueError::new(path, format!("this is {}", value.kind()), remedy()));
    };
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(ValueError::new(path, format!("there is no key `{key}`"), remedy())),
        None => Ok(table),
    }
}

pub(super) fn field<'v>(path: &str, table: &'v Table, key: &str) -> Result<&'v Value, ValueError> {
    table
        .get(key)
        .ok_or_else(|| ValueError::new(path, format!("`{key}` is missing"), format!("add {key} = ...")))
}

/// A number up to `most`.
pub(super) fn up_to(path: &str, value: &Value, most: u32) -> Result<u32, ValueError> {
    let number = match value {
        Value::Number(number) => u32::try_from(*number).ok().filter(|number| *number <= most),
        _ => None,
    };
    number.ok_or_else(|| {
        ValueError::new(path, format!("{value} does not fit"), format!("write a number of 0 to {most}"))
    })
}

fn number(path: &str, width: u8, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let most = u32::MAX >> (32 - 8 * u32::from(width.clamp(1, 4)));
    let octets = up_to(path, value, most)?.to_be_bytes();
    out.extend(octets.iter().skip(4 - usize::from(width.clamp(1, 4))));
    Ok(())
}

pub(super) fn text<'v>(path: &str, value: &'v Value) -> Result<&'v str, ValueError> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(ValueError::new(path, format!("this is {}", other.kind()), "write text in quotes")),
    }
}

pub(super) fn address(path: &str, value: &Value) -> Result<Ipv6Addr, ValueError> {
    text(path, value)?.parse().map_err(|_| {
        ValueError::new(
            path,
            format!("{value} is not an IPv6 address"),
            "write one, such as \"2001:db8::53\"",
        )
    })
}

pub(super) fn prefix(path: &str, value: &Value) -> Result<ipnet::Ipv6Net, ValueError> {
    let net: Result<ipnet::Ipv6Net, _> = text(path, value)?.parse();
    net.ok().filter(|net| net.trunc() == *net).ok_or_else(|| {
        let message = format!("{value} is not an IPv6 prefix with no bit set beyond its length");
        ValueError::new(path, message, "write one, such as \"2001:db8::/32\"")
    })
}

fn name(path: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let written = text(path, value)?;
    if written.is_empty() || written == "." || !domain::encode(written, out) {
        let message = format!("{value} is not a domain name");
        return Err(ValueError::new(
            path,
            message,
            "write labels of 1 to 63 letters with dots between, such as \"example.com\"",
        ));
    }
    Ok(())
}

fn octets(path: &str, value: &Value) -> Result<Vec<u8>, ValueError> {
    crate::hex::read(text(path, value)?).ok_or_else(|| {
        let message = format!("{value} is not pairs of hexadecimal digits");
        ValueError::new(path, message, "write them with or without colons between: \"0a:1b\" or \"0a1b\"")
    })
}
