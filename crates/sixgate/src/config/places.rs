//! Where a running sixgate is found, also by a file that it would not start with.

use super::{CONTROL, Checked, Config, Diagnostic, STATE, read};
use std::path::{Path, PathBuf};

/// Where a running sixgate is found, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) control: PathBuf,
    pub(crate) state: PathBuf,
}

impl Places {
    /// From the file at `path`, mistakes or not: the sixgate that runs may have read it before they were made, and its status must
    /// be seen all the more.
    pub(crate) fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let findings = match Config::load(path) {
            Ok(Checked { config, .. }) => return Ok(Self { control: config.control, state: config.state }),
            Err(findings) => findings,
        };
        let Ok(text) = read(path) else { return Err(findings) };
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        let place = |key: &str, default: &str| {
            PathBuf::from(table.get(key).and_then(toml::Value::as_str).unwrap_or(default))
        };
        Ok(Self { control: place("control", CONTROL), state: place("state", STATE) })
    }
}
