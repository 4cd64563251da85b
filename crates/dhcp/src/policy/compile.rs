//! From what a person wrote to a policy.

use super::condition::Test;
use super::pattern::{Macs, Patterns};
use super::{Class, ClassId, Condition, Exclude, MOST_CLASSES, OnLink, Policy, PoolPart, Rule, RuleTest};
use crate::lease::LinkId;
use crate::options::OptionSet;
use crate::reservation::Reservations;
use crate::value::{Value, ValueError};
use std::collections::BTreeMap;

/// Most conditions of all classes together, and how deep they nest.
const MOST_TESTS: usize = 1_024;
const DEEPEST: usize = 8;
/// Most patterns of all classes together that are tried one after the other.
const MOST_PATTERNS: usize = 1_024;
/// Most exact values of all classes together.
const MOST_VALUES: usize = 100_000;

/// Keys of a condition.
const KEYS: [&str; 17] = [
    "all",
    "any",
    "not",
    "mac",
    "duid",
    "duid-type",
    "duid-enterprise",
    "vendor-enterprise",
    "vendor-class",
    "user-class",
    "interface-id",
    "remote-enterprise",
    "remote-id",
    "subscriber-id",
    "relay",
    "link",
    "class",
];
/// And one more, which is true or false.
const RESERVED: &str = "reserved";

/// What all classes together take: what keeps a policy bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    tests: usize,
    patterns: usize,
    values: usize,
}

struct Reader {
    /// The classes so far.
    names: Vec<String>,
    size: Size,
}

impl Policy {
    /// A policy that gives everybody the server's `options`.
    pub fn new(options: OptionSet, reservations: Reservations) -> Self {
        Self { options, reservations, ..Self::default() }
    }

    /// Adds a class with its condition, which may ask for earlier classes, and what its members are told.
    ///
    /// # Errors
    /// [`ValueError`], whose path is the class's name, or begins with it where the condition is wrong.
    pub fn add_class(&mut self, name: &str, condition: &Value, options: OptionSet) -> Result<(), ValueError> {
        if self.class_named(name).is_some() {
            let message = format!("two classes are called `{name}`");
            return Err(ValueError::new(name, message, "give each a name of its own"));
        }
        if self.classes.len() >= MOST_CLASSES {
            let message = format!("there are more than {MOST_CLASSES} classes");
            return Err(ValueError::new(name, message, "put conditions together by `any`"));
        }
        let names = self.classes.iter().map(|class| class.name.to_string()).collect();
        let mut reader = Reader { names, size: self.size };
        let condition = Condition(reader.test(&format!("{name}.match"), condition, 0)?);
        self.size = reader.size;
        self.classes.push(Class { name: name.into(), condition, options });
        Ok(())
    }

    fn named(&self, path: &str, name: &str) -> Result<ClassId, ValueError> {
        self.class_named(name)
            .ok_or_else(|| unknown(path, name, self.classes.iter().map(|class| &*class.name)))
    }

    /// Adds who is not served: members of `deny`, and where `allow` names classes, everybody but their members. Everywhere,
    /// or on one link.
    ///
    /// # Errors
    /// [`ValueError`] where a class is not known.
    pub fn add_rules(
        &mut self,
        link: Option<LinkId>,
        deny: &[String],
        allow: &[String],
    ) -> Result<(), ValueError> {
        for name in deny {
            let test = RuleTest::Deny(self.named("deny", name)?);
            self.add_rule(Rule { link: link.clone(), test });
        }
        if !allow.is_empty() {
            let classes = allow.iter().map(|name| self.named("allow", name)).collect::<Result<_, _>>()?;
            self.add_rule(Rule { link, test: RuleTest::Allow(classes) });
        }
        Ok(())
    }

    fn add_rule(&mut self, rule: Rule) {
        self.rules_on.entry(rule.link.clone()).or_default().push(self.rules.len());
        self.rules.push(rule);
    }

    /// Adds what is told on a link, and what of its delegated prefixes is excluded.
    pub fn add_link(&mut self, link: LinkId, options: OptionSet, exclude: Option<Exclude>) {
        if !options.is_empty() || exclude.is_some() {
            self.links.insert(link, OnLink { options, exclude });
        }
    }

    /// Adds a part of a link's pools.
    ///
    /// # Errors
    /// [`ValueError`] where the class is not known.
    pub fn add_part(
        &mut self,
        link: LinkId,
        net: ipnet::Ipv6Net,
        class: Option<&str>,
        length: Option<u8>,
        options: OptionSet,
    ) -> Result<(), ValueError> {
        let class = class.map(|name| self.named("class", name)).transpose()?;
        self.parts.entry(link.clone()).or_default().push(PoolPart { link, net, class, length, options });
        Ok(())
    }
}

fn unknown<'n>(path: &str, name: &str, known: impl Iterator<Item = &'n str>) -> ValueError {
    let known: Vec<_> = known.collect();
    let remedy = if known.is_empty() {
        "define it: [[dhcp.class]] with a name and a match".to_owned()
    } else {
        format!("classes defined before are: {}", known.join(", "))
    };
    ValueError::new(path, format!("there is no class `{name}`"), remedy)
}

impl Reader {
    fn test(&mut self, path: &str, value: &Value, depth: usize) -> Result<Test, ValueError> {
        let Value::Table(table) = value else {
            let remedy = "write a table, such as { mac = \"00:00:5e/24\" }";
            return Err(ValueError::new(path, format!("this is {}", value.kind()), remedy));
        };
        if depth >= DEEPEST {
            let message = "conditions nest too deep";
            return Err(ValueError::new(
                path,
                message,
                "define a class for a part of it, and ask for that by `class`",
            ));
        }
        let mut tests = Vec::new();
        for (key, value) in table {
            let at = format!("{path}.{key}");
            // One option must have both.
            if key == "vendor-enterprise" && table.contains_key("vendor-class") {
                continue;
            }
            tests.push(self.one(&at, key, value, table, depth)?);
            self.size.tests += 1;
        }
        if self.size.tests > MOST_TESTS
            || self.size.patterns > MOST_PATTERNS
            || self.size.values > MOST_VALUES
        {
            let message = format!(
                "the classes are too big: at most {MOST_TESTS} conditions, {MOST_PATTERNS} patterns and {MOST_VALUES} exact values"
            );
            return Err(ValueError::new(
                path,
                message,
                "for single clients write reservations, and ask for `reserved`",
            ));
        }
        match <[Test; 1]>::try_from(tests) {
            Ok([test]) => Ok(test),
            Err(tests) if tests.is_empty() => Err(ValueError::new(
                path,
                "the condition is empty",
                "say what a member is like, such as mac = \"...\"",
            )),
            Err(tests) => Ok(Test::All(tests)),
        }
    }

    fn one(
        &mut self,
        path: &str,
        key: &str,
        value: &Value,
        table: &BTreeMap<String, Value>,
        depth: usize,
    ) -> Result<Test, ValueError> {
        Ok(match key {
            "all" | "any" => {
                let Value::List(values) = value else {
                    return Err(ValueError::new(
                        path,
                        format!("this is {}", value.kind()),
                        "write a list of tables",
                    ));
                };
                let each = values.iter().enumerate();
                let tests = each
                    .map(|(at, value)| self.test(&format!("{path}[{at}]"), value, depth + 1))
                    .collect::<Result<Vec<_>, _>>()?;
                if tests.is_empty() {
                    return Err(ValueError::new(
                        path,
                        "the list is empty",
                        "write a condition, or leave it out",
                    ));
                }
                if key == "all" { Test::All(tests) } else { Test::Any(tests) }
            }
            "not" => Test::Not(Box::new(self.test(path, value, depth + 1)?)),
            "mac" => {
                let mut macs = Macs::default();
                texts(path, value)?.iter().try_for_each(|text| macs.add(path, text))?;
                self.count(macs.size());
                Test::Mac(macs)
            }
            "duid" => {
                let mut patterns = Patterns::default();
                texts(path, value)?.iter().try_for_each(|text| patterns.add_hex(path, text))?;
                self.count(patterns.size());
                Test::Duid(patterns)
            }
            "duid-type" => Test::DuidType(
                list(path, value)?.iter().map(|value| duid_type(path, value)).collect::<Result<_, _>>()?,
            ),
            "duid-enterprise" => Test::DuidEnterprise(numbers(path, value)?),
            "vendor-enterprise" => Test::Vendor { enterprises: numbers(path, value)?, texts: None },
            "vendor-class" => {
                let enterprises = match table.get("vendor-enterprise") {
                    Some(numbers) => self::numbers(path, numbers)?,
                    None => Vec::new(),
                };
                Test::Vendor { enterprises, texts: Some(self.patterns(path, value)?) }
            }
            "user-class" => Test::UserClass(self.patterns(path, value)?),
            "interface-id" => Test::InterfaceId(self.patterns(path, value)?),
            "remote-enterprise" => Test::RemoteEnterprise(numbers(path, value)?),
            "remote-id" => Test::RemoteId(self.patterns(path, value)?),
            "subscriber-id" => Test::SubscriberId(self.patterns(path, value)?),
            "relay" => {
                Test::Relay(texts(path, value)?.iter().map(|text| net(path, text)).collect::<Result<_, _>>()?)
            }
            "link" => Test::Link(texts(path, value)?.iter().map(|text| (*text).to_owned()).collect()),
            "class" => {
                let place = |name: &&str| {
                    let at = self.names.iter().position(|known| known == name);
                    at.map(|at| ClassId(at as u8))
                        .ok_or_else(|| unknown(path, name, self.names.iter().map(String::as_str)))
                };
                Test::Class(texts(path, value)?.iter().map(place).collect::<Result<_, _>>()?)
            }
            RESERVED => match value {
                Value::Flag(flag) => Test::Reserved(*flag),
                other => {
                    let message = format!("this is {}", other.kind());
                    return Err(ValueError::new(
                        path,
                        message,
                        "write true for who has a reservation, or false",
                    ));
                }
            },
            other => {
                let message = format!("nothing of a client is called `{other}`");
                return Err(ValueError::new(path, message, format!("write {}, {RESERVED}", KEYS.join(", "))));
            }
        })
    }

    fn patterns(&mut self, path: &str, value: &Value) -> Result<Patterns, ValueError> {
        let mut patterns = Patterns::default();
        texts(path, value)?.iter().try_for_each(|text| patterns.add(path, text))?;
        self.count(patterns.size());
        Ok(patterns)
    }

    fn count(&mut self, (patterns, values): (usize, usize)) {
        self.size.patterns += patterns;
        self.size.values += values;
    }
}

/// Values of a list; one that stands alone is a list of itself.
fn list<'v>(path: &str, value: &'v Value) -> Result<&'v [Value], ValueError> {
    match value {
        Value::List(values) if values.is_empty() => {
            Err(ValueError::new(path, "the list is empty", "write at least one, or leave the key out"))
        }
        Value::List(values) => Ok(values),
        one => Ok(std::slice::from_ref(one)),
    }
}

fn texts<'v>(path: &str, value: &'v Value) -> Result<Vec<&'v str>, ValueError> {
    let text = |value: &'v Value| match value {
        Value::Text(text) => Ok(text.as_str()),
        other => Err(ValueError::new(
            path,
            format!("this is {}", other.kind()),
            "write text in quotes, or a list of them",
        )),
    };
    list(path, value)?.iter().map(text).collect()
}

fn numbers(path: &str, value: &Value) -> Result<Vec<u32>, ValueError> {
    let number = |value: &Value| match value {
        Value::Number(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    let each = list(path, value)?.iter().map(|value| {
        let wrong = || {
            ValueError::new(
                path,
                format!("{value} is no enterprise number"),
                "write a number as IANA gave it",
            )
        };
        number(value).ok_or_else(wrong)
    });
    each.collect()
}

fn duid_type(path: &str, value: &Value) -> Result<u16, ValueError> {
    let found = match value {
        Value::Text(word) => {
            ["llt", "en", "ll", "uuid"].iter().position(|name| name == word).map(|at| at as u16 + 1)
        }
        Value::Number(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    found.ok_or_else(|| {
        ValueError::new(
            path,
            format!("{value} is no type of DUID"),
            "write \"llt\", \"en\", \"ll\" or \"uuid\", or a number",
        )
    })
}

fn net(path: &str, text: &str) -> Result<ipnet::Ipv6Net, ValueError> {
    let address = || text.parse::<std::net::Ipv6Addr>().ok().map(ipnet::Ipv6Net::from);
    text.parse().ok().or_else(address).ok_or_else(|| {
        ValueError::new(
            path,
            format!("`{text}` is no IPv6 address or prefix"),
            "write where relay agents are, such as \"2001:db8::/48\"",
        )
    })
}
