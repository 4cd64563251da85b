//! Which server has which buckets, as written in a file.

use sixgate_dhcp::balance::{Buckets, BucketsError};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Longest file that is read, in octets.
const LONGEST: u64 = 1 << 20;
/// The name of the one server that a configuration speaks of, where it names none.
const UNNAMED: &str = "this";

/// Servers and their buckets.
///
/// A file of its own has a line for each server, and all servers share it:
///
/// ```toml
/// server1 = "0-127"
/// server2 = "128-255"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Map(BTreeMap<String, Buckets>);

/// Why a file is no map.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{}: {server}: {source}", path.display())]
    Buckets { path: PathBuf, server: String, source: BucketsError },
    #[error("{}: {server} is not text such as \"0-127\"", path.display())]
    Value { path: PathBuf, server: String },
    #[error("{} names no server", path.display())]
    Empty { path: PathBuf },
}

impl Map {
    /// The servers by their names.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&String, &Buckets)> {
        self.0.iter()
    }

    /// Reads a map.
    pub(crate) fn read(path: &Path) -> Result<Self, MapError> {
        Self::of(path, &table(path)?)
    }

    /// Reads a map, or what a server's configuration says of its own buckets: by then, whose file it is says whose they are.
    pub(crate) fn read_any(path: &Path) -> Result<Self, MapError> {
        let table = table(path)?;
        let is_configuration = table.values().any(|value| !value.is_str());
        if !is_configuration {
            return Self::of(path, &table);
        }
        let dhcp = table.get("dhcp").and_then(toml::Value::as_table);
        let word = |key: &str| dhcp.and_then(|dhcp| dhcp.get(key)).and_then(toml::Value::as_str);
        let name = word("server-name").unwrap_or(UNNAMED).to_owned();
        match word("buckets") {
            // It answers everybody.
            None => Ok(Self([(name, Buckets::ALL)].into())),
            Some(map) if map.contains('/') => {
                let map = Self::read(&path.parent().unwrap_or(Path::new("")).join(map))?;
                let own = map.0.into_iter().filter(|(known, _)| *known == name).collect();
                Ok(Self(own))
            }
            Some(text) => {
                let buckets = text.parse().map_err(|source| MapError::Buckets {
                    path: path.to_owned(),
                    server: name.clone(),
                    source,
                })?;
                Ok(Self([(name, buckets)].into()))
            }
        }
    }

    fn of(path: &Path, table: &toml::Table) -> Result<Self, MapError> {
        let path = || path.to_owned();
        let mut map = BTreeMap::new();
        for (server, value) in table {
            let text =
                value.as_str().ok_or_else(|| MapError::Value { path: path(), server: server.clone() })?;
            let buckets = text.parse().map_err(|source| MapError::Buckets {
                path: path(),
                server: server.clone(),
                source,
            })?;
            map.insert(server.clone(), buckets);
        }
        if map.is_empty() { Err(MapError::Empty { path: path() }) } else { Ok(Self(map)) }
    }
}

fn table(path: &Path) -> Result<toml::Table, MapError> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| MapError::Read { path: path.to_owned(), source })?;
    text.parse::<toml::Table>().map_err(|error| MapError::Syntax {
        path: path.to_owned(),
        message: error.message().lines().collect::<Vec<_>>().join(": "),
    })
}
