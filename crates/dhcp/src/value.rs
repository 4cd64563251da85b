//! What a person writes for an option, a class or a reservation, whatever the file's language.

use std::collections::BTreeMap;
use std::fmt;

/// A value as TOML and JSON have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// true or false.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// Values after each other.
    List(Vec<Value>),
    /// Values by name.
    Table(BTreeMap<String, Value>),
}

impl Value {
    /// What it is, for a sentence that says that it should be something else.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Value {
    /// On one line, as the configuration would have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => {
                f.write_str("\"")?;
                for character in text.chars() {
                    match character {
                        '"' | '\\' => write!(f, "\\{character}")?,
                        c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
            Self::List(values) => {
                f.write_str("[")?;
                for (at, value) in values.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Self::Table(values) => {
                f.write_str("{ ")?;
                for (at, (key, value)) in values.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} = {value}")?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// What is wrong with a value as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", if path.is_empty() { String::new() } else { format!(" (in {path})") })]
pub struct ValueError {
    /// Where: the name of what is written, and the way into its value, such as `s46-mape.rules[1].ipv6`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub remedy: String,
}

impl ValueError {
    pub(crate) fn new(path: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into(), remedy: remedy.into() }
    }
}
