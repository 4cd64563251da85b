//! Options as people write them, and as they are sent.
//!
//! [`Given::new`] makes octets of a name (or a code) and a [`Value`]; [`describe`] makes a [`Value`] of octets. Both go by
//! the one table of [`sixgate_wire::dhcpv6::DEFINITIONS`], so that what is written can be read back. An option that the
//! table does not know is given by its code and a type: nothing has to be compiled for it.
//!
//! Octets are made once, when the configuration is read; answering a client copies them.

mod describe;
mod encode;
mod softwire;
#[cfg(test)]
mod tests;

pub use crate::value::{Value, ValueError};
pub use describe::{describe, describe_as};

use sixgate_wire::dhcpv6::{Builder, Definition, OptionCode, Options, Shape};

/// Most options in one set.
pub const MOST_OPTIONS: usize = 64;
/// Most octets of one option's content: several of this length fit into an answer.
pub const LONGEST_OPTION: usize = 2_048;

/// The form of an option's content: one of the table's, or several after each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    One(Shape),
    Record(Vec<Shape>),
}

/// One option that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    code: OptionCode,
    /// What stands in each option with the code.
    contents: Vec<Vec<u8>>,
    /// Also to clients that do not ask for it.
    always: bool,
}

impl Given {
    /// Reads an option by its name or its code, and its value as the table says. A table with the key `value` may say
    /// besides of which `type` it is, and `always` that it is sent unasked.
    ///
    /// # Errors
    /// [`ValueError`], which says where in the value something is wrong, and what to write.
    pub fn new(key: &str, value: &Value) -> Result<Self, ValueError> {
        encode::given(key, value)
    }

    /// Its code.
    pub fn code(&self) -> OptionCode {
        self.code
    }

    /// What stands in each option with its code.
    pub fn contents(&self) -> impl Iterator<Item = &[u8]> {
        self.contents.iter().map(Vec::as_slice)
    }

    /// Whether clients get it that do not ask for it.
    pub fn always(&self) -> bool {
        self.always
    }
}

/// Options that are given together, each code once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionSet {
    given: Vec<Given>,
}

impl OptionSet {
    /// Options in the order in which they are to be sent.
    ///
    /// # Errors
    /// [`ValueError`] where one stands twice, or where there are more than [`MOST_OPTIONS`].
    pub fn new(given: Vec<Given>) -> Result<Self, ValueError> {
        for (at, option) in given.iter().enumerate() {
            if given.iter().take(at).any(|other| other.code == option.code) {
                return Err(ValueError::new(
                    &name_of(option.code),
                    format!("{} stands twice, perhaps by name and by code", name_of(option.code)),
                    "write it once, with all that it is to say",
                ));
            }
        }
        if given.len() > MOST_OPTIONS {
            return Err(ValueError::new(
                "",
                format!("{} options are more than an answer has room for", given.len()),
                format!("write at most {MOST_OPTIONS}"),
            ));
        }
        Ok(Self { given })
    }

    /// The options.
    pub fn iter(&self) -> impl Iterator<Item = &Given> {
        self.given.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// The option with this code.
    pub fn get(&self, code: OptionCode) -> Option<&Given> {
        self.given.iter().find(|given| given.code == code)
    }
}

/// Writes what `sets` give to a client whose message has `asked`: of options in several sets the first, the rest in the
/// order of the sets. Codes in `sets` are sent where the client asks for them, or always where they say so; none that
/// `passes` does not let pass.
pub fn write<'s>(
    b: &mut Builder<'_>,
    asked: Options<'_>,
    sets: &(impl Iterator<Item = &'s OptionSet> + Clone),
    passes: impl Fn(OptionCode) -> bool,
) {
    for (at, set) in sets.clone().enumerate() {
        for given in set.iter() {
            let earlier = sets.clone().take(at).any(|set| set.get(given.code).is_some());
            if !earlier && passes(given.code) && (given.always || asked.requests(given.code)) {
                for content in given.contents() {
                    b.option(given.code, content);
                }
            }
        }
    }
}

/// What a person calls the option: its name in the table, else its code.
pub fn name_of(code: OptionCode) -> String {
    Definition::of(code).map_or_else(|| code.0.to_string(), |definition| definition.name.to_owned())
}
