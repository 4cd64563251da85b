//! Names to addresses.

use crate::{Endpoint, Family};

/// What finds the addresses of a name. It may block: the drivers call it on threads of its own, once for each family.
pub trait Resolve: Send + Sync {
    /// The addresses of `name` in one family, in the order the resolver gave them, with zones where they have one and without
    /// ports. No address (the name exists, but not in this family) is `Ok` and empty.
    ///
    /// # Errors
    /// Where the resolver cannot tell, in words.
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError>;
}

/// A name that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve `{name}` ({family}): {reason}")]
pub struct ResolveError {
    /// The name that was asked for.
    pub name: String,
    /// In which family.
    pub family: Family,
    /// Why, in words.
    pub reason: String,
}
