//! Who gets what.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything that `sixgate reservation list` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reservations {
    /// From which file those with a line come.
    pub(crate) file: Option<String>,
    #[serde(rename = "reservations")]
    pub(crate) rows: Vec<Reservation>,
    /// Those that clash with others, as sentences.
    pub(crate) left_out: Vec<String>,
}

/// What is somebody's alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) owner: String,
    /// None: on every LAN.
    pub(crate) lan: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) hostname: Option<String>,
    /// Names of the options that only the owner is told.
    pub(crate) options: Vec<String>,
    /// `command`, or a line of the file.
    pub(crate) origin: String,
    /// What is not free for the owner yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<Holder>,
}

/// Who has what is reserved for somebody else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) resource: String,
    pub(crate) duid: String,
    pub(crate) state: String,
    /// Seconds left; `None` is for ever.
    pub(crate) valid: Option<u64>,
}

/// What of the policy `sixgate status` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) classes: Vec<String>,
    /// How many messages each rule kept from being answered.
    pub(crate) denied: BTreeMap<String, u64>,
    pub(crate) reservations: u64,
}

impl Reservations {
    /// The reservations for a person.
    pub(crate) fn table(&self) -> String {
        let header = ["OWNER", "LAN", "ADDRESS OR PREFIX", "NAME", "OPTIONS", "FROM"].map(str::to_owned);
        let or_dash = |texts: &[String]| if texts.is_empty() { "-".to_owned() } else { texts.join(" ") };
        let rows: Vec<[String; 6]> = std::iter::once(header)
            .chain(self.rows.iter().map(|row| {
                [
                    row.owner.clone(),
                    row.lan.clone().unwrap_or_else(|| "-".to_owned()),
                    or_dash(&row.resources),
                    row.hostname.clone().unwrap_or_else(|| "-".to_owned()),
                    or_dash(&row.options),
                    row.origin.clone(),
                ]
            }))
            .collect();
        let mut out =
            if self.rows.is_empty() { "no reservations\n".to_owned() } else { super::columns(&rows) };
        if let Some(file) = &self.file {
            let _ = writeln!(out, "\nlines are those of {file}");
        }
        for row in &self.rows {
            for other in &row.others {
                let valid = super::seconds(other.valid);
                let _ = writeln!(
                    out,
                    "\n{} is not free for {} yet: {} {}, for {valid}",
                    other.resource, row.owner, other.state, other.duid
                );
            }
        }
        for sentence in &self.left_out {
            let _ = writeln!(out, "\nproblem: {sentence}");
        }
        out
    }
}

impl Policy {
    pub(super) fn table(&self, out: &mut String) {
        let _ = writeln!(out, "\npolicy: {} classes, {} reservations", self.classes.len(), self.reservations);
        for (rule, count) in &self.denied {
            let _ = writeln!(out, "  {rule}: {count} messages not answered");
        }
    }
}
