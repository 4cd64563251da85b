//! The dashboard.

use super::columns;
use serde::{Deserialize, Serialize};

/// Where the dashboard is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Web {
    pub(crate) enabled: bool,
    pub(crate) places: Vec<Place>,
    /// The file that holds the token.
    pub(crate) token: String,
}

/// An address of the dashboard, and from where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) lan: String,
    pub(crate) url: String,
}

impl Web {
    pub(crate) fn table(&self) -> String {
        let rows: Vec<[String; 2]> =
            self.places.iter().map(|place| [place.url.clone(), format!("from {}", place.lan)]).collect();
        columns(&rows) + &format!("token: {} (`sixgate web --token` prints it)\n", self.token)
    }
}
